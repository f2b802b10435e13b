"""The budget: metrics, quantities, operators and rules. Pure and light; the monitors share it."""
