"""Brings a project up to date with its folder, and tells what changed."""

from capsmith.core.log import get_logger
from capsmith.deploy.folder.selection import Selection
from capsmith.deploy.studio.store import Store

logger = get_logger(__name__)


def take_over(store: Store, selection: Selection, fingerprint: str, again: bool) -> None:
    """Takes over a listing of the folder.

    Args:
        store: The project.
        selection: The images, with a root.
        fingerprint: Identifies the model that proposes.
        again: Images for which another model proposed will be captioned, too.
    """
    changes = store.sync(selection.items)
    parts = [f"{count:,} {name}" for name, count in changes._asdict().items() if count]
    logger.info(f"images: {store.counts().total:,}" + (f" ({', '.join(parts)})" if parts else ""))
    if (count := store.proposed_by_others(fingerprint)) and not again:
        logger.info(f"{count:,} captions were proposed by another model: --propose-again proposes anew")
