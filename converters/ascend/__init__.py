"""Ascend's torch_npu profiler: its output folders become execution graphs."""
