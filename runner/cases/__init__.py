"""Cases: recorded or imagined incidents with the decision that is expected of them."""
