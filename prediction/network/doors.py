"""Who gets in: the names by which clients may call this server, and the admin token.

It also owns the headers of pages for people, which let in nothing from outside.
"""

from __future__ import annotations

PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Nothing comes from other hosts, and only our files are scripts. Plotly and Swagger set inline styles."""
