"""Rows made of a call's journal."""

from typing import Any

from django.db import models

from tenants.models import TenantModel


class JournaledModel(TenantModel):
    """A row that later entries of the journal may change.

    `applied` tells the entries it is made of, so that an old one sent again does not undo a newer one.
    """

    applied: Any = models.JSONField(default=list, editable=False)

    class Meta(TenantModel.Meta):
        abstract = True
