"""Which script and, as far as common words tell, which language captions are written in; and its words for sides."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

SPACELESS = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
"""Scripts that write sentences without spaces between words."""
_KANA = ("Hiragana", "Katakana")
_LONG_WORD, _LONG_SYLLABLES = 3.5, 8.0  # letters a piece beyond which pieces are phrases, not words
RIGHT_TO_LEFT = ("Arabic", "Hebrew", "Syriac", "Thaana")
_NAMES = {"CJK": "Han", "HIRAGANA": "Hiragana", "KATAKANA": "Katakana", "HANGUL": "Hangul"}
_BY_SCRIPT = {
    "Hiragana": "Japanese", "Katakana": "Japanese", "Han": "Chinese", "Hangul": "Korean", "Thai": "Thai", "Lao": "Lao",
    "Khmer": "Khmer", "Myanmar": "Burmese", "Greek": "Greek", "Hebrew": "Hebrew", "Armenian": "Armenian",
    "Georgian": "Georgian", "Tamil": "Tamil", "Telugu": "Telugu", "Bengali": "Bengali", "Gujarati": "Gujarati",
    "Tibetan": "Tibetan", "Ethiopic": "Amharic",
}  # fmt: skip
_COMMON = {
    "English": "a the is are of in on and with to at",
    "German": "ein eine der die das und ist auf mit im einem",
    "French": "un une le la les et est des sur dans avec",
    "Spanish": "un una el la los y es en con de por",
    "Italian": "un una il la gli e è di con che sul",
    "Portuguese": "um uma o os e é em com de na no",
    "Dutch": "een de het en is van op met in aan zijn",
    "Swedish": "en ett och är på med som i av den",
    "Polish": "i w na z jest się do to są przez",
    "Turkish": "bir ve bu için ile da de olan üzerinde",
    "Vietnamese": "một và đang trên với của người các trong là",
    "Indonesian": "yang dan di seorang sedang dengan sebuah ke dari",
    "Russian": "и в на с по из он она у за",
    "Ukrainian": "і з та до що є під із він біля",
    "Bulgarian": "е от се да един една две със която който",
    "Arabic": "في من على مع و إلى رجل هذا أن التي",
    "Persian": "یک در و از به با است که را روی",
    "Urdu": "ایک میں اور ہے کے پر کی سے کا ہیں",
    "Hindi": "एक में है और के पर की से का हैं",
    "Marathi": "एक आहे आणि मध्ये आहेत वर या तो",
    "Hebrew": "של על עם את הוא היא זה לא",
}
_SIDES = {
    "English": "left right",
    "German": "links rechts, linke rechte, linken rechten, linker rechter, linkes rechtes, linkem rechtem",
    "French": "gauche droite",
    "Spanish": "izquierda derecha, izquierdo derecho, izquierdas derechas, izquierdos derechos",
    "Italian": "sinistra destra, sinistro destro",
    "Portuguese": "esquerda direita, esquerdo direito",
    "Dutch": "links rechts, linker rechter, linkerkant rechterkant, linkerzijde rechterzijde, linkerhand rechterhand",
    "Swedish": "vänster höger, vänstra högra",
    "Polish": "lewo prawo, lewa prawa, lewe prawe, lewy prawy, lewej prawej, lewą prawą, lewego prawego, lewym prawym",
    "Turkish": "sol sağ, sola sağa, solda sağda, soldan sağdan, soldaki sağdaki, soluna sağına, solunda sağında",
    "Indonesian": "kiri kanan, kirinya kanannya",
    "Russian": "слева справа, налево направо, влево вправо, левый правый, левая правая, левое правое, левые правые, "
    "левой правой, левую правую, левого правого, левом правом, левым правым, левых правых",
    "Ukrainian": "зліва справа, ліворуч праворуч, наліво направо, вліво вправо, лівий правий, ліва права, ліве праве, "
    "лівої правої, лівій правій, ліву праву, лівою правою, лівого правого, лівому правому, лівим правим",
    "Bulgarian": "ляво дясно, вляво вдясно, наляво надясно, отляво отдясно, ляв десен, лява дясна, лявата дясната, "
    "левия десния, лявото дясното, левите десните",
    "Greek": "αριστερά δεξιά, αριστερό δεξί",
    "Arabic": "يسار يمين, اليسار اليمين, اليسرى اليمنى, يسرى يمنى, الأيسر الأيمن, يساره يمينه, يسارها يمينها",
    "Persian": "چپ راست",
    "Urdu": "بائیں دائیں",
    "Hindi": "बाएं दाएं, बाएँ दाएँ, बायें दायें, बायां दायां, बायाँ दायाँ, बाईं दाईं, बायीं दायीं",
    "Marathi": "डावा उजवा, डावी उजवी, डावे उजवे, डाव्या उजव्या, डावीकडे उजवीकडे",
    "Hebrew": "שמאל ימין, משמאל מימין, שמאלה ימינה, שמאלי ימני, שמאלית ימנית, השמאלי הימני, השמאלית הימנית",
    "Chinese": "左 右, 左边 右边, 左侧 右侧, 左手 右手",
    "Japanese": "左 右, 左側 右側, 左手 右手",
    "Korean": "왼쪽 오른쪽, 왼쪽에 오른쪽에, 왼쪽에는 오른쪽에는, 왼쪽으로 오른쪽으로, 왼쪽의 오른쪽의, 왼손 오른손",
}  # of Vietnamese none: its words for sides are those for fruit and must


@dataclass(frozen=True)
class Writing:
    """How captions are written.

    Attributes:
        script: The script of most letters, such as ``Latin``; empty without letters.
        language: The language, or an empty string when common words do not tell.
        spaced: Whether words stand apart.
    """

    script: str
    language: str
    spaced: bool

    @property
    def right_to_left(self) -> bool:
        """Whether lines run from right to left."""
        return self.script in RIGHT_TO_LEFT

    def __str__(self) -> str:
        told = f"{self.language}, " if self.language else ""
        return f"{told}{self.script or 'no'} script" + (", right to left" if self.right_to_left else "")


def writing_of(captions: Iterable[str]) -> Writing:
    """Returns how captions are written, by counting their letters and common words."""
    texts = list(captions)
    letters = Counter(script_of(character) for text in texts for character in text if character.isalpha())
    script = max(letters, key=lambda name: letters[name], default="")
    if script == "Han" and letters["Hiragana"] + letters["Katakana"] > letters["Han"] / 20:
        script = "Hiragana"  # Japanese writes its nouns in Chinese characters
    pieces = sum(len(text.split()) for text in texts)
    long = sum(letters.values()) / max(pieces, 1) > (_LONG_WORD if script in ("Han", *_KANA) else _LONG_SYLLABLES)
    return Writing(script, _language(texts, script), script not in SPACELESS or (pieces > len(texts) and not long))


def sides(language: str) -> tuple[tuple[str, str], ...]:
    """Returns a language's words that exchange their places in captions of mirrored images; none if not known."""
    pairs = (pair.split() for pair in _SIDES.get(language, "").split(",") if pair)
    return tuple((left, right) for left, right in pairs)


@cache
def script_of(letter: str) -> str:
    """Returns a letter's script, as Unicode's name of the letter begins: ``Latin``, ``Arabic``, ``Han``."""
    first = unicodedata.name(letter, "").split(" ", 1)[0].split("-")[0]
    return _NAMES.get(first, first.capitalize())


def _language(texts: Sequence[str], script: str) -> str:
    words = Counter(word for text in texts for word in text.lower().split())
    total = sum(words.values())
    share = {
        language: sum(words[word] for word in common.split()) / max(total, 1)
        for language, common in _COMMON.items()
        if script_of(common[0]) == script
    }
    ranked = sorted(share, key=lambda language: -share[language])
    if ranked and share[ranked[0]] > 0.08 and (len(ranked) == 1 or share[ranked[0]] > 1.1 * share[ranked[1]]):
        return ranked[0]
    return _BY_SCRIPT.get(script, "")
