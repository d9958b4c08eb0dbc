"""The model store of the embedded profile. Needs neither Django nor a database."""

from voiceplatform.embedded.models.brain import brain_command, brain_name
from voiceplatform.embedded.models.errors import ModelError
from voiceplatform.embedded.models.fetching import ensure
from voiceplatform.embedded.models.store import find, models_folder

__all__ = ["ModelError", "brain_command", "brain_name", "ensure", "find", "models_folder"]
