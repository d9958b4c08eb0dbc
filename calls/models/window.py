"""When people may be called, by the clock where they are."""

from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from tenants.models import TenantModel, tenant_key
from voiceplatform.lib.countries import validate_country

EVERY_DAY: Final = (1, 2, 3, 4, 5, 6, 7)
DAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def every_day() -> list[int]:
    return list(EVERY_DAY)


class CallingWindow(TenantModel):
    """Some hours of some weekdays in which numbers of a country may be called; `ends_at` is the first moment after.

    A country's windows replace those without a country; the windows of one country add up.
    """

    public_prefix = "win"

    country = models.CharField(
        max_length=2,
        blank=True,
        validators=[validate_country],
        help_text="ISO code, e.g. DE. Empty: for every country that has no window of its own.",
    )
    weekdays: Any = ArrayField(
        models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(7)]),
        default=every_day,
        help_text="1 is Monday, 7 is Sunday.",
    )
    starts_at = models.TimeField(help_text="By the clock where the person is, e.g. 09:00.")
    ends_at = models.TimeField(help_text="The first moment at which no call is placed any more, e.g. 20:00.")
    on_holidays = models.BooleanField(default=False, help_text="Also on public holidays of the country the number belongs to.")
    created_at = models.DateTimeField(editable=False)

    class Meta(TenantModel.Meta):
        ordering = ["country", "starts_at", "id"]
        constraints = [
            tenant_key("callingwindow"),
            models.CheckConstraint(name="callingwindow_lasts", condition=Q(starts_at__lt=F("ends_at"))),
            models.CheckConstraint(
                name="callingwindow_has_weekdays",
                condition=Q(weekdays__contained_by=every_day()) & Q(weekdays__len__gt=0),
            ),
            models.CheckConstraint(name="callingwindow_country_is_a_code", condition=Q(country__regex=r"^([A-Z]{2})?$")),
        ]
        indexes = [models.Index(fields=["tenant", "country"], name="callingwindow_of_country")]

    def __str__(self) -> str:
        return f"{self.days_text} {self.starts_at:%H:%M}–{self.ends_at:%H:%M}"

    @property
    def days_text(self) -> str:
        return "Every day" if len(self.weekdays) == 7 else ", ".join(DAY_NAMES[day - 1] for day in self.weekdays)

    def clean(self) -> None:
        self.weekdays = sorted(set(self.weekdays))
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValidationError({"ends_at": "It must end after it starts, on the same day."})
