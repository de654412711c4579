"""Describes images: a caption, the objects that confirm it, similar images, and recommended captions, as one record.

::

    from capsmith.deploy.describe import Describer, write_page

    describer = Describer(captioner=captioner, detector=detector, index=index, recommender=recommender)
    description = describer.describe("photo.jpg")
    print(description.as_dict())
    write_page([("photo.jpg", description)], "photo.html")
"""

from capsmith.core.lazy_names import lazy_names

_MODULES = {"Describer": "pipeline", "Description": "record", "write_page": "page"}
__all__ = [*_MODULES]  # noqa: PLE0604

__getattr__ = lazy_names(__name__, {name: f"{__name__}.{module}" for name, module in _MODULES.items()})
