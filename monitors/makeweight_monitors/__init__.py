"""What runs beside a served model: what is counted, which rules judge it, what is shown. No torch, onnx or dvc.

`observe` counts in a Python model server, `exporter` beside any other. From the budget that gated the merge come
`rules` and `dashboards`; `backtest` tries rules on the past, with a `prometheus` of its own. What they share is here.
"""
