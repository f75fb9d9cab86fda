"""Several nodes as one service: what they tell each other, whatever carries it."""
