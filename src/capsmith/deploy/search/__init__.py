"""Index a folder of images, and search it by a phrase, by another image, or by the words of captions.

::

    from capsmith.deploy.search import ImageIndex, build_index
    from capsmith.models.embedders import load_embedder

    embedder = load_embedder(["runs/flickr8k_embedding"])
    build_index("photos", "photos.index", embedder)
    for hit in ImageIndex.open("photos.index", embedder).search_text("small dog with hat"):
        print(hit.semantic, hit.path)
"""

from capsmith.core.lazy_names import lazy_names

_MODULES = {
    "ImageIndex": "image_index",
    "Hit": "hits",
    "build_index": "build",
    "Captioning": "build",
    "ImageIndexError": "index_file",
    "IndexBusy": "index_file",
    "IndexModelError": "index_file",
}
__all__ = [*_MODULES]  # noqa: PLE0604

__getattr__ = lazy_names(__name__, {name: f"{__name__}.{module}" for name, module in _MODULES.items()})
