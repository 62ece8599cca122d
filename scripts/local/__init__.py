"""The local stack: an AWS emulator, the function under cargo lambda, and its Function URL, all on 127.0.0.1."""
