"""Leads and numbers not to call as CSV files."""

from typing import Any, Final

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calls.models import Lead, Suppression
from calls.services.imports import begin_import
from tenants.api.idempotency import idempotent
from tenants.api.jobs import accepted
from tenants.api.resources import ResourceViewSet
from tenants.api.serializers import JobSerializer
from tenants.jobs import LEADS, SUPPRESSIONS
from voiceplatform.lib.api.fields import StrictSerializer
from voiceplatform.lib.api.parsing import UploadParser


class ImportSerializer(StrictSerializer):
    file = serializers.FileField(help_text="CSV in UTF-8, separated by comma, semicolon or tab; its first row names the columns.")


_OPTIONS: Final[dict[str, Any]] = {"detail": False, "methods": ["post"], "url_path": "import", "parser_classes": [UploadParser]}
_BODY: Final[dict[str, Any]] = {"request": {"multipart/form-data": ImportSerializer}, "responses": {202: JobSerializer}}


class LeadImportViewSet(ResourceViewSet):
    scopes = {"import_file": "leads:write"}
    model = Lead

    def rows(self) -> QuerySet:
        rows: QuerySet = Lead.objects.all()
        return rows

    @extend_schema(summary="Import leads", **_BODY)
    @action(**_OPTIONS)
    @idempotent
    def import_file(self, request: Request) -> Response:
        """Columns: phone, and any of name, email, timezone, language and `metadata.` with a key of yours. A lead that
        there is gets what the row says; an empty cell changes nothing. Rows that do not fit are refused one by one."""
        return accepted(begin_import(kind=LEADS, file=self.body(ImportSerializer, request)["file"]))


class SuppressionImportViewSet(ResourceViewSet):
    scopes = {"import_file": "leads:write"}
    model = Suppression

    def rows(self) -> QuerySet:
        rows: QuerySet = Suppression.objects.all()
        return rows

    @extend_schema(summary="Import suppressed numbers", **_BODY)
    @action(**_OPTIONS)
    @idempotent
    def import_file(self, request: Request) -> Response:
        """Columns: phone, and any of reason, source (`import` where it is empty) and expires_at. A number that is
        suppressed already stays so, for the longer of the two times. Rows that do not fit are refused one by one."""
        return accepted(begin_import(kind=SUPPRESSIONS, file=self.body(ImportSerializer, request)["file"]))
