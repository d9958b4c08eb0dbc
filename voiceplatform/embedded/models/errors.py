"""What can go wrong with a model, each with the way out in its text."""


class ModelError(Exception):
    """Base of all errors of the model store; the text says how to mend it."""


class UnknownModelError(ModelError):
    """No model of this name is in the catalogue."""


class ModelMismatchError(ModelError):
    """A file is not the one the catalogue promises."""


class ModelUnavailableError(ModelError):
    """No source could deliver a model."""


class NoSpaceError(ModelError):
    """The disk cannot hold a model."""
