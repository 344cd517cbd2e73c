"""Measurements against the budgets and against what a user would pick instead, in ratios."""
