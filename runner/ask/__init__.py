"""Questions of people, answered from what is recorded and measured; nothing is changed."""
