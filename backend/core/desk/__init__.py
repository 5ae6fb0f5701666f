"""What the support desk knows of text: cleaning, personal data, summaries."""
