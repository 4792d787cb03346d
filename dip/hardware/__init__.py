"""Devices, number formats, memory and threads."""
