"""Where ``describe`` gets images from by words: a folder, a list of addresses, or Pixabay."""

from capsmith.deploy.describe.sources.opening import open_source as open_source
