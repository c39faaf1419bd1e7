"""cart_pole: a cart balances a pole."""
