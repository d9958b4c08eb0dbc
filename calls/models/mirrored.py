"""Rows that have a likeness on the LiveKit server."""

from typing import ClassVar

from django.db import models


class Mirrored(models.Model):
    """`synced_at` is when the server last had what the row says; `sync_error` why it does not have it.

    `drift` says what the server had instead at `drifted_at`, e.g. because somebody changed it by hand; it was put right.
    """

    unversioned: ClassVar[frozenset[str]] = frozenset({"livekit_id", "synced_at", "sync_error", "drift", "drifted_at"})

    livekit_id = models.CharField(max_length=80, blank=True, editable=False, help_text="The trunk's id on the LiveKit server.")
    synced_at = models.DateTimeField(null=True, blank=True, editable=False)
    sync_error = models.CharField(max_length=500, blank=True, editable=False)
    drift = models.CharField(max_length=500, blank=True, editable=False)
    drifted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
