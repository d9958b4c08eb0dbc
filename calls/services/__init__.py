"""What may be done with calls. All of it needs a tenant in scope unless its docstring says otherwise."""

from calls.services.claiming import claim_call
from calls.services.ending import end_call
from calls.services.finalizing import finalize_call
from calls.services.placing import place_call

__all__ = ["claim_call", "end_call", "finalize_call", "place_call"]
