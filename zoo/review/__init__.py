"""What a reviewer of a model looks at: scores beside controls, as tables and pictures."""
