"""What runs beside a served model: what is counted, which rules judge it, what is shown. No torch, onnx or dvc.

In a model server: `observer`, `middleware`, `onnx_session`, `prefork`. Beside one: `exporter`. From the budget that
gated the merge: `rules` and `dashboards`; `backtest` tries rules on the past. What they share lies beside them.
"""
