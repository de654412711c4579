"""Tables of the Penn Treebank tokeniser: the runs of characters that are one token.

They reproduce the observed output of the Java tool for every character of the Basic Multilingual Plane, every string of
up to four letters before a period, every pair of punctuation marks and several hundred thousand altered captions.
"""

import re
import unicodedata

SPELLED = {
    **{"¢": "cents", "£": "#", "\x80": "$", "¤": "$", "₠": "$", "€": "$"},
    **{"¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "…": "..."},
    **dict.fromkeys("\x96\x97–—―", "--"),
    **dict.fromkeys("\x93“«", "``"),
    **dict.fromkeys('\x94”»"', "''"),
    **dict.fromkeys("\x91‘‛‹", "`"),
    **dict.fromkeys("\x92’›", "'"),
}
"""Characters with another spelling when they are a token."""
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
CUT = {"can": "not", "gon": "na", "got": "ta", "wan": "na", "lem": "me", "gim": "me"}
"""Words that are split in two: cannot, gonna, …"""

# Characters beyond ASCII: marks that are part of words, letters that are dropped, and single-character tokens.
_JOINING = (
    "2c2-2c5 2d2-2df 2e5-2eb 2ed 2ef-36f 375 378-379 384-385 3f6 483-487 55a-55f 591-5bd 5bf 5c1-5c2 5c4-5c5 5c7 "
    "615-61a 64b-65e 670 6d6-6e4 6e7-6ed 6fd-6fe 70f 711 730-74c 7a6-7b0 7eb-7f3 900-903 93c 93e-94e 951-955 "
    "962-963 981-983 9bc 9be-9c4 9c7-9c8 9cb-9cd 9d7 9e2-9e3 a01-a03 a3c a3e-a4f a81-a83 abc abe-acf b82 "
    "bbe-bc2 bc6-bc8 bca-bcd c01-c03 c3e-c56 d3e-d44 d46-d48 e31 e34-e3a e47-e4e eb1 eb4-ebc ec8-ecd 1885-1886"
)
_VANISHING = (
    "37f 528-52f 560 588 5ef 860-86a 870-887 889-88e 8a1 8ad-8c9 978 980 9fc af9 c34 c5a c5d c80 cdd d04 d54-d56 "
    "d5f de6-def e86 e89 e8c e8e-e93 e98 ea0 ea8-ea9 eac 13f5 13f8-13fd 16f1-16f8 170d 171f 1878 191d-191e "
    "19b0-19c0 19c8-19c9 1b4c 1c80-1c88 1c90-1cba 1cbd-1cbf 1cf2-1cf3 1cfa 2c2f 2c5f 312e-312f 31bb-31bf "
    "4db6-4dbf 9fcd-9fff a698-a69d a78f a794-a79f a7ab-a7ca a7d0-a7d1 a7d3 a7d5-a7d9 a7f2-a7f7 a8fd-a8fe "
    "a9e0-a9e4 a9e6-a9fe aa7e-aa7f ab30-ab5a ab5c-ab69 ab70-abbf"
)
_ALONE = (
    "80 a1-a9 ac ae-b1 b4 b6-b8 bc-bf d7 f7 37e 387 589 5be 5c0 5c3 5c6 5f3-5f4 600-603 606-60c 614 61b 61e-61f "
    "66a 66d 6d4 700-70d 7f6-7f8 964-965 e3f e4f 1fbd 2016-2017 201a 201e-2023 2030-2038 203b 203e-2042 2044 "
    "20a0 20a4 20ac 2100-2101 2103-2106 2108-2109 2114 2116-2118 211e-2123 2125 2127 2129 212e 213a-213b "
    "2140-2144 214a-214d 214f 2153-215e 2190-2bff 3001-3002 3012 30fb ff01-ff0f ff1a-ff20 ff3b-ff40 ff5b-ff65 "
    "ffe0-ffe1 ffe5-ffe6"
)
_RAISED = "b2-b3 b9 2070 2074-207e 2080-208e"


def _codes(ranges: str) -> set[int]:
    """Reads hexadecimal ranges such as ``2c2-2c5 2ed``."""
    pairs = [part.partition("-")[::2] for part in ranges.split()]
    return {code for low, high in pairs for code in range(int(low, 16), int(high or low, 16) + 1)}


class _Shapes(dict[int, str]):
    """For ``str.translate``: maps all characters that the rules treat alike to one character."""

    _kinds = (
        (_codes("91 2018 201b 2039"), "‘"),
        (_codes("92 2019 203a"), "’"),
        (_codes("93 ab 201c"), "“"),
        (_codes("94 bb 201d"), "”"),
        (_codes("96-97 2013-2015 2026"), "–"),
        (_codes("58a 2010-2011"), "‐"),
        (_codes(_RAISED), "²"),
        (_codes(_ALONE), "§"),
        (_codes(_VANISHING), " "),
        (_codes(_JOINING), "é"),
    )

    def __missing__(self, code: int) -> str:
        self[code] = next((shape for codes, shape in self._kinds if code in codes), None) or self._by_category(code)
        return self[code]

    @staticmethod
    def _by_category(code: int) -> str:
        if code < 128:
            return chr(code)
        category = unicodedata.category(chr(code))
        if code > 0xFFFF:  # the tool reads surrogate pairs here, and drops them
            return " "
        return "٠" if category == "Nd" else "é" if category[0] == "L" else " "


SHAPES = _Shapes()

# Abbreviations keep their period. The first kind keeps it even before another character: "etc.x" is "etc." "x".
_ABBREVIATIONS = "|".join(
    """al ala apr ariz assn aug bhd bldg blvd bros calif co colo conn corp cos ct dak dec esq est etc ext feb fla fri
    ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb nev nov oct okla penn plc p?ptes?
    p?ptys? rd rt sep sept seq sq sr sys tel tenn thurs? tues? univ va vt wed wisc? wyo ph[.]d ed[.]d""".split()
)
_STATES = "ark az del ill la mass miss ore pa tex wash".split()
_STATES_EITHER_WAY = "|".join(spelled for state in _STATES for spelled in (state.title(), state.upper()))
_TITLES = "|".join(
    """adj adm adv alex assoc asst attys? ave brig capt cf cie cmdr col comdr cpl dept det drs? elec ens ft gen govs?
    hon insp invt jos lieut lt maj messrs mfg mlle mme mrs? ms msgr mt mtg natl pfc ph pres prof pvt reps? rev sens?
    sfc sgt spc ste? supt treas vs wm""".split()
)
# A letter with a period before one of these, in title case or capitals, ends a sentence: "vitamin C. The".
_STARTERS = "|".join(
    spelled
    for word in """a about after an as at but he her here however if in it last many more now once one other our she
    since so some such that the their then there these they this we what when while yet you""".split()
    for spelled in (word.title(), word.upper())
)
ABBREVIATED = re.compile(f"(?i:{_ABBREVIATIONS}|{'|'.join(_STATES)}|{_TITLES}|.)")
"""Matches complete words that may keep a period."""
_FILES = "|".join(
    """bat bmp c cgi class cpp dll docx? exe gif gz h html? jar java jpe?g mov mp3 pdf php pl png ppt ps py sql tar txt
    wav x xml zip""".split()
)

_L, _D, _LD, _A = "[A-Za-zé]", "[0-9٠]", "[A-Za-zé0-9٠]", "['’]"
_ANY = "['’`‘]"
_WORD = f"{_L}{_LD}*(?:[.!?]{_L}{_LD}*)*"
_TAIL = "(?i:[msd]|re|ve|ll)"
_LETTERS = r"[A-Za-z](?:\.[A-Za-z])+"
_PART = f"(?:[dDoOlL]{_ANY}{_LD})?{_LD}+"
_JOINED = f"{_PART}(?:[-‐_]{_PART})*"
_DOTTED = rf"[A-Za-z0-9][A-Za-z0-9.,]{{0,99}}(?:-(?:[A-Za-z0-9]+|{_LETTERS}\.))+"
_SLASHED = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
_PLACE = r'[^\s"<>|(){}]'
_HOST = r'[^\s"<>|.(){}]'

_DOMAIN = r"[^\s\"`'<>|.!?(){},_$-]"
DOMAIN = re.compile(rf"((?:[A-Za-z]{_DOMAIN}*\.)+(?:com|net|org|edu)(?:/{_PLACE}+[^\s\"<>|.!?(){{}},-])?)")
"""Names such as ``example.com``: one of the ``RULES``, and the only one that may scan far ahead without a match."""
DOMAIN_REACH = re.compile(rf"(?:[A-Za-z]{_DOMAIN}*\.)*(?:[A-Za-z]{_DOMAIN}*)?")
"""The text that ``DOMAIN`` scans. If it has no match at the start of this text, it has none within the text either."""

RULES = [
    re.compile(rule)
    for rule in (
        rf"((?i:{_ABBREVIATIONS})\.)((?s:.))",
        rf"((?:{_STATES_EITHER_WAY})\.)((?s:.))",
        # Words, and words cut before a contracted tail.
        f"({_WORD})",
        f"([A-Za-z]*[A-MO-Za-mo-z])([nN]{_ANY}[tT])",
        f"({_WORD})({_A}{_TAIL})",
        f"([nN]{_ANY}[tT])",
        f"('{_TAIL})([^A-Za-z])",
        f"(’{_TAIL})",
        *(f"((?i:{head}))((?i:{rest})[^A-Za-zé0-9])" for head, rest in CUT.items()),
        "('[tT])((?i:is|was))",
        # Words with an apostrophe inside or in front.
        f"({_A}[nN]{_A}?)",
        f"([lLdDjJ]{_A})",
        f"([yY]{_A})({_L})",
        f"({_A}(?i:em|till?|cause))",
        f"({_A}[2-9]0[sS])",
        rf"({_A}[0-9][0-9])(\s)",
        f"([A-HJ-XZn]{_ANY}{_L}{{2}}{_L}*)",
        f"({_L}+[aeiouyAEIOUY]{_ANY}[aeiouA-Z]{_L}*)",
        f"((?i:dunkin{_A}|somethin{_A}|ol{_A}|nor{_A}easter|c{_A}mon|e{_A}er|s{_A}mores|ev{_A}ry|li{_A}l))",
        f"((?i:nat{_A}l|cap{_A}n|c{_A}est))",
        r"(')([A-Za-z]\S)",
        # Words with hyphens, slashes and ampersands.
        f"({_JOINED})",
        f"({_DOTTED})",
        rf"({_SLASHED}(?:\\?/{_SLASHED}){{1,2}})",
        "([A-Z]+(?:[+&][A-Z]+)+)",
        r"(S&P-500|S&Ls|(?i:pro-|anti-)|(?i:c)\+\+|[cCfF]#)",
        # Abbreviations, and words whose period is followed by another mark.
        rf"({_LETTERS}\.)",
        rf"([A-Za-z]\.)(?! +(?:{_STARTERS})[ \n])",
        rf"((?i:{_TITLES})\.)",
        r"((?i:art|ca|figs?|nos?|op|pp|prop)\.)(\s?[0-9])",
        rf"((?:{_WORD}|{_JOINED}|{_DOTTED})\.)([,;:])",
        # Numbers.
        f"([-+]?(?:{_D}*(?:[.:,]{_D}+)+|{_D}+))",
        f"({_D}{{1,2}}[-/]{_D}{{1,2}}[-/]{_D}{{2,4}})",
        rf"((?:{_D}{{1,4}}[- ])?{_D}{{1,4}}\\?/{_D}{{1,4}})",
        r"(\([0-9]{2,3}\) ?[0-9]{3,4}[- ]?[0-9]{3,5})",
        # Addresses, names of files and people, tags.
        rf"(<?[A-Za-z0-9]{_PLACE}{{0,99}}@(?:{_HOST}+\.)*{_HOST}+>?)",
        rf"(https?://{_PLACE}+[^\s\"<>|.!?(){{}},-])",
        r"(www\.(?:[^\s\"<>|.!?(){},]+\.)+[A-Za-z]{2,4})",
        DOMAIN.pattern,
        rf"({_L}{_LD}*(?:\.{_LD}+)*\.(?i:{_FILES}))(?!{_LD})",
        "(@[A-Za-z_][A-Za-z0-9_]*)",
        f"(#{_L}+)",
        "(</?[A-Za-z][A-Za-z0-9.:]*/?>)",
        "(<[A-Za-z][A-Za-z0-9.:]*(?: +[A-Za-z][A-Za-z0-9_.:-]*(?:=(?:\"[^\"\n]*\"|'[^'\n]*'))?)* */?>)",
        # Smileys and signs in a row.
        r"([<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]])([^A-Za-z0-9])",
        "([-^x=~<>']_[-^x=~<>'])",
        r"([?!]+|_+|#+|@+|-+|²+|\.{3,}|(?:\. ){2,}\.|<<|>>|\\\*)",
        "(''|``|`[“”‘’][“”‘’`]*|[“”‘’][“”‘’`]+)",
        r"([A-Z]*\$)",
    )
]
"""Group 1 is the token. Group 2, if present, is context: it counts towards the match length but is not consumed."""
