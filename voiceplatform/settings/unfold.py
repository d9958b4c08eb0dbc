"""Look and navigation of the staff console."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Voice platform",
    "SITE_HEADER": "Voice platform",
    "SITE_SUBHEADER": "Staff console",
    "SITE_URL": "",
    "SITE_SYMBOL": "graphic_eq",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("voiceplatform/favicon.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "ENVIRONMENT": "voiceplatform.admin.navigation.environment",
    "GLOBAL_CALLBACK": "voiceplatform.admin.navigation.page_context",
    "DASHBOARD_CALLBACK": "voiceplatform.admin.dashboard.dashboard_context",
    "LOGIN": {
        "image": lambda _request: static("voiceplatform/login.svg"),
        "redirect_after": lambda _request: reverse_lazy("admin:index"),
    },
    "STYLES": [lambda _request: static("voiceplatform/console.css"), lambda _request: static("voiceplatform/call.css")],
    "COMMAND": {"search_models": False, "show_history": True},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "voiceplatform.admin.navigation.sidebar",
    },
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.314)",
            "100": "oklch(93% .034 272.788)",
            "200": "oklch(87% .065 274.039)",
            "300": "oklch(78.5% .115 274.713)",
            "400": "oklch(67.3% .182 276.935)",
            "500": "oklch(58.5% .233 277.117)",
            "600": "oklch(51.1% .262 276.966)",
            "700": "oklch(45.7% .24 277.023)",
            "800": "oklch(39.8% .195 277.366)",
            "900": "oklch(35.9% .144 278.697)",
            "950": "oklch(25.7% .09 281.288)",
        }
    },
}
