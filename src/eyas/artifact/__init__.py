"""What a finished classifier is: how bytes become pixels, pixels become input, and what its answers mean."""
