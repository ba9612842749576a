"""The steps of the examination, in an order in which causes come before their consequences."""
