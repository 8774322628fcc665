"""The smallest files of each kind that a model accepts, and some of other kinds."""

from __future__ import annotations

import base64


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
JPEG = (
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////"
    "////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA="
)
GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
WEBP = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"
PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n").decode()
IMAGES = {"image/png": PNG, "image/jpeg": JPEG, "image/gif": GIF, "image/webp": WEBP}
OTHERS = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0",
    "BMP": b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    "TIFF": b"II*\0\x08\0\0\0",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "ZIP": b"PK\x03\x04\x14\0\0\0",
    "JSON": b'{"error": "not found"}',
}


def data_url(data: str, label: str = "image/png") -> str:
    """Return a data URL."""
    return f"data:{label};base64,{data}"
