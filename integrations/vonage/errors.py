"""What goes wrong at Vonage, in sentences that name the fix."""

from enum import StrEnum
from typing import Final

from integrations.errors import IntegrationsError

_ADDRESS: Final = ("address",)
_BALANCE: Final = ("balance", "credit", "funds")
_TAKEN: Final = ("already", "not available", "unavailable", "not found", "taken")
_LONGEST_LABEL: Final = 200
_UNKNOWN_OUTCOME: Final = " Whether Vonage has done it is not known; look, or ask again."


class Trouble(StrEnum):
    CREDENTIALS = "credentials"
    BALANCE = "balance"
    ADDRESS = "address"
    NUMBER = "number"
    REFUSED = "refused"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"


class VonageError(IntegrationsError):
    """Vonage did not do what it was asked to; the text names the fix, for staff and API users.

    `permanent`: asking again gives the same. `retry_after` seconds from now it may work. `is_uncertain`: what was asked
    for may have happened all the same.
    """

    def __init__(
        self,
        sentence: str,
        *,
        trouble: Trouble,
        permanent: bool = True,
        retry_after: int | None = None,
        is_uncertain: bool = False,
    ) -> None:
        self.trouble, self.permanent, self.retry_after = trouble, permanent, retry_after
        self.is_uncertain = is_uncertain
        super().__init__(sentence)

    @property
    def is_about_the_account(self) -> bool:
        """Nothing else would work either, rather than this one number."""
        return self.trouble in (Trouble.CREDENTIALS, Trouble.THROTTLED, Trouble.UNAVAILABLE)


def no_credentials() -> VonageError:
    return VonageError("The account lacks its API key or API secret. Enter both.", trouble=Trouble.CREDENTIALS)


def unreachable(why: str, *, changes: bool) -> VonageError:
    sentence = f"Vonage cannot be reached: {why}" + (_UNKNOWN_OUTCOME if changes else " Try again in a minute.")
    return VonageError(sentence, trouble=Trouble.UNAVAILABLE, permanent=False, retry_after=60, is_uncertain=changes)


def unreadable(*, changes: bool) -> VonageError:
    sentence = "Vonage's answer was not understood." + (_UNKNOWN_OUTCOME if changes else " Try again in a minute.")
    return VonageError(sentence, trouble=Trouble.UNAVAILABLE, permanent=False, retry_after=60, is_uncertain=changes)


def refusal(*, code: int, label: str, retry_after: str, changes: bool) -> VonageError:
    """The error that an answer stands for: its status, or the code in its body, and the words that go with it."""
    label = "".join(each for each in label if each.isprintable())[:_LONGEST_LABEL].strip(". ")
    if code == 401:
        sentence = "Vonage does not accept the API key and secret. Enter those of the API settings in Vonage's dashboard."
        return VonageError(sentence, trouble=Trouble.CREDENTIALS)
    if code == 429:
        wait_s = min(int(retry_after), 3600) if retry_after.isdecimal() and len(retry_after) < 6 else 1
        sentence = f"Vonage takes no more requests of this account at the moment. Try again in {wait_s} s."
        return VonageError(sentence, trouble=Trouble.THROTTLED, permanent=False, retry_after=wait_s)
    if code >= 500:
        sentence = f"Vonage is out of order ({code})." + (_UNKNOWN_OUTCOME if changes else " Try again in a minute.")
        return VonageError(sentence, trouble=Trouble.UNAVAILABLE, permanent=False, retry_after=60, is_uncertain=changes)
    return _of_the_request(code, label)


def _of_the_request(code: int, label: str) -> VonageError:
    told = label.lower()
    if code == 402 or any(word in told for word in _BALANCE):
        return VonageError("The balance at Vonage is too low. Top it up in Vonage's dashboard.", trouble=Trouble.BALANCE)
    if any(word in told for word in _ADDRESS):
        sentence = "Numbers of this country need an address first. Ask for the number in Vonage's dashboard, then link it here."
        return VonageError(sentence, trouble=Trouble.ADDRESS)
    if any(word in told for word in _TAKEN):
        return VonageError(f"Vonage does not have this number to give: {label}. Choose another.", trouble=Trouble.NUMBER)
    sentence = f"Vonage refused ({code}): {label or 'without a reason'}."
    if code == 420:
        # One answer for all of these.
        sentence += " The balance may be too low, or somebody else has the number: see Vonage's dashboard, or choose another."
    return VonageError(sentence, trouble=Trouble.REFUSED)
