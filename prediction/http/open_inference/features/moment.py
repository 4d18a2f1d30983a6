"""Moments in tensors: texts of RFC 3339; an empty one is missing."""

from prediction.http.open_inference.features import arrays

ACCEPTED = arrays.ACCEPTED
datatype = arrays.datatype
plain = arrays.plain
