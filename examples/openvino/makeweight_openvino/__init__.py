"""OpenVINO as a runtime of makeweight, brought by entry points alone."""
