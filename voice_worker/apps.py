from django.apps import AppConfig


class VoiceWorkerConfig(AppConfig):
    name = "voice_worker"
