"""Measurements of the platform. Each is a module: `make bench ARGS="<name> [options]"`."""

import os

import django
from django.apps import apps

if not apps.ready:
    # Whatever started this process: the predictable providers are needed.
    os.environ["DJANGO_SETTINGS_MODULE"] = "voiceplatform.settings.test"
    django.setup()
