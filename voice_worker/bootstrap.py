"""Sets Django up, once, in whichever process imports this first: also in the forkserver that every job is born from.

It touches no database, starts no thread and opens no socket, because jobs would inherit them.
"""

import os

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceplatform.settings.worker")
if not apps.ready:
    django.setup()
