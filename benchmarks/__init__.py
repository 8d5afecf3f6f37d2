"""Measurements of the station against bare libraries; not part of the tests."""
