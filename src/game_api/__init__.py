"""Players and game sessions over REST."""

from importlib.metadata import version

__version__ = version("game-api")
