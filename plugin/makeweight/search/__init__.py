"""Search: recipes proposed, tried and judged until one fits the budget."""
