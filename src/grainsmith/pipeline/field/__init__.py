"""The steps of one field of view: segment, register, measure, classify."""
