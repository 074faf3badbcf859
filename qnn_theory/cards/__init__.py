"""What is shown of the theory: format cards and overviews, as terminal text, Markdown, LaTeX or JSON.

The top floor of the theory; nothing in it imports this. Proved by `tests/qnn_theory/cards`.
"""
