"""Captions of rendered scenes in Vietnamese, Arabic and Chinese: five per scene, by small grammars.

Each language has its own order: classifiers before the noun and colours after it; adjectives that agree in gender,
number and case; measure words, and places in front. The words cover the eight kinds of objects and six colours.
"""

from collections.abc import Callable

from capsmith.data.scenes.plan import Scene, Thing

Said = tuple[str, str, str, str]
"""The two things with their relation, the relation said the other way round, the place, the sky."""


def captions(scene: Scene, language: str) -> tuple[str, ...]:
    """Returns five captions of a scene."""
    said, first, gap = LANGUAGES[language]
    core, inverse, place, sky = said(scene)
    if first:
        return tuple(gap.join(parts) for parts in ((core,), (place, core), (sky, core), (sky, place, core), (inverse,)))
    return tuple(gap.join(parts) for parts in ((core,), (core, place), (core, sky), (core, place, sky), (inverse,)))


_VI_KINDS = {
    "cat": "con mèo", "house": "ngôi nhà", "tree": "cái cây", "car": "chiếc xe hơi", "boat": "chiếc thuyền",
    "whale": "con cá voi", "balloon": "quả bóng bay", "plane": "chiếc máy bay",
}  # fmt: skip
_VI_COLOURS = {
    "red": "đỏ", "yellow": "vàng", "green": "xanh lá", "blue": "xanh dương", "purple": "tím", "white": "trắng",
}  # fmt: skip
_VI_RELATIONS = {
    "left": ("ở bên trái", "ở bên phải"), "beside": ("ở bên cạnh", "ở bên cạnh"),
    "front": ("ở phía trước", "ở phía sau"), "above": ("ở phía trên", "ở phía dưới"), "on": ("đang ở trên", "ở dưới"),
}  # fmt: skip
_VI_PLACES = {
    "meadow": "trên đồng cỏ", "snow": "trong tuyết", "desert": "trong sa mạc", "city": "trong thành phố",
    "forest": "trong rừng", "beach": "trên bãi biển", "sea": "ngoài biển khơi",
}  # fmt: skip
_VI_SKIES = {
    "sunny": "dưới trời nắng", "cloudy": "dưới bầu trời nhiều mây", "rain": "dưới mưa", "sunset": "lúc hoàng hôn",
    "night": "vào ban đêm", "rainbow": "dưới cầu vồng",
}  # fmt: skip


def _vietnamese(scene: Scene) -> Said:
    def name(thing: Thing) -> str:
        size = {"small": " nhỏ", "big": " lớn"}.get(thing.size, "")
        return f"{('một', 'hai', 'ba')[thing.count - 1]} {_VI_KINDS[thing.kind]}{size} màu {_VI_COLOURS[thing.colour]}"

    first, second = name(scene.first), name(scene.second)
    there, back = _VI_RELATIONS[scene.relation]
    core, inverse = f"{first} {there} {second}", f"{second} {back} {first}"
    return core, inverse, _VI_PLACES[scene.place], _VI_SKIES[scene.sky]


_AR_KINDS = {
    "cat": ("قطة", "", ""), "house": ("بيت", "", ""), "tree": ("شجرة", "شجرتان", "أشجار"), "car": ("سيارة", "", ""),
    "boat": ("قارب", "", ""), "whale": ("حوت", "", ""), "balloon": ("بالون", "بالونان", "بالونات"),
    "plane": ("طائرة", "", ""),
}  # fmt: skip
_AR_FEMININE = {"cat", "tree", "car", "plane"}
_AR_DESCRIBED = {  # masculine, feminine (and of three or more), masculine and feminine of two
    "red": ("أحمر", "حمراء", "أحمران", "حمراوان"), "yellow": ("أصفر", "صفراء", "أصفران", "صفراوان"),
    "green": ("أخضر", "خضراء", "أخضران", "خضراوان"), "blue": ("أزرق", "زرقاء", "أزرقان", "زرقاوان"),
    "purple": ("بنفسجي", "بنفسجية", "بنفسجيان", "بنفسجيتان"), "white": ("أبيض", "بيضاء", "أبيضان", "بيضاوان"),
    "small": ("صغير", "صغيرة", "صغيران", "صغيرتان"), "big": ("كبير", "كبيرة", "كبيران", "كبيرتان"),
}  # fmt: skip
_AR_RELATIONS = {
    "left": ("على يسار", "على يمين"), "beside": ("بجانب", "بجانب"), "front": ("أمام", "خلف"),
    "above": ("فوق", "تحت"), "on": ("على", "تحت"),
}  # fmt: skip
_AR_PLACES = {
    "meadow": "في المرج", "snow": "في الثلج", "desert": "في الصحراء", "city": "في المدينة", "forest": "في الغابة",
    "beach": "على الشاطئ", "sea": "في البحر",
}  # fmt: skip
_AR_SKIES = {
    "sunny": "تحت الشمس", "cloudy": "تحت الغيوم", "rain": "تحت المطر", "sunset": "عند الغروب", "night": "في الليل",
    "rainbow": "تحت قوس قزح",
}  # fmt: skip


def _arabic(scene: Scene) -> Said:
    def name(thing: Thing, after: bool = False) -> str:
        feminine = thing.kind in _AR_FEMININE
        form = 1 if thing.count == 3 else int(feminine) + (2 if thing.count == 2 else 0)
        noun = _AR_KINDS[thing.kind][thing.count - 1]
        three = ("ثلاث " if feminine else "ثلاثة ") if thing.count == 3 else ""
        described = [thing.colour, *([thing.size] if thing.size in _AR_DESCRIBED else [])]
        words = [noun, *(_AR_DESCRIBED[word][form] for word in described)]
        if after and thing.count == 2:  # the genitive of two, after a preposition
            words = [word.removesuffix("ان") + "ين" for word in words]
        return three + " ".join(words)

    there, back = _AR_RELATIONS[scene.relation]
    core = f"{name(scene.first)} {there} {name(scene.second, after=True)}"
    inverse = f"{name(scene.second)} {back} {name(scene.first, after=True)}"
    return core, inverse, _AR_PLACES[scene.place], _AR_SKIES[scene.sky]


_ZH_KINDS = {
    "cat": ("只", "猫"), "house": ("座", "房子"), "tree": ("棵", "树"), "car": ("辆", "汽车"), "boat": ("艘", "船"),
    "whale": ("头", "鲸鱼"), "balloon": ("个", "气球"), "plane": ("架", "飞机"),
}  # fmt: skip
_ZH_COLOURS = {"red": "红", "yellow": "黄", "green": "绿", "blue": "蓝", "purple": "紫", "white": "白"}
_ZH_RELATIONS = {
    "left": ("左边", "右边"), "beside": ("旁边", "旁边"), "front": ("前面", "后面"), "above": ("上方", "下方"),
    "on": ("上面", "下面"),
}  # fmt: skip
_ZH_PLACES = {
    "meadow": "草地上", "snow": "雪地里", "desert": "沙漠里", "city": "城市里", "forest": "森林里", "beach": "海滩上",
    "sea": "大海上",
}  # fmt: skip
_ZH_SKIES = {
    "sunny": "阳光下", "cloudy": "多云的天空下", "rain": "雨中", "sunset": "日落时", "night": "夜晚",
    "rainbow": "彩虹下",
}  # fmt: skip


def _chinese(scene: Scene) -> Said:
    def name(thing: Thing) -> str:
        measure, noun = _ZH_KINDS[thing.kind]
        size = {"small": "小", "big": "大"}.get(thing.size, "")
        return f"{'一两三'[thing.count - 1]}{measure}{_ZH_COLOURS[thing.colour]}色的{size}{noun}"

    first, second = name(scene.first), name(scene.second)
    there, back = _ZH_RELATIONS[scene.relation]
    core, inverse = f"{first}在{second}的{there}", f"{second}在{first}的{back}"
    return core, inverse, _ZH_PLACES[scene.place], _ZH_SKIES[scene.sky]


LANGUAGES: dict[str, tuple[Callable[[Scene], Said], bool, str]] = {
    "Vietnamese": (_vietnamese, False, " "),
    "Arabic": (_arabic, False, " "),
    "Chinese": (_chinese, True, "，"),
}
"""Each language's grammar, whether place and sky come first, and what stands between them."""
