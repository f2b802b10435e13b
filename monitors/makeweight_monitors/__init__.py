"""What runs beside a served model: counters, rules, dashboards, rollback. Needs neither torch, onnx nor dvc.

Empty for now: the room stands so that its walls (no import of the plugin but the shared budget) hold from the start.
"""
