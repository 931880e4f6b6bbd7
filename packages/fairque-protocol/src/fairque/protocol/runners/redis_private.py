"""The private attributes of redis-py's connections that fairque uses, since there are no public names for them."""

from operator import attrgetter

__all__ = ["error_parser_of", "reader_of", "socket_of", "writer_of"]

#: Returns the socket of a connection; None while it is closed.
socket_of = attrgetter("_sock")
#: Returns the stream from which an asynchronous connection reads; None while it is closed.
reader_of = attrgetter("_reader")
#: Returns the stream to which an asynchronous connection writes; None while it is closed.
writer_of = attrgetter("_writer")
#: Returns the function that makes an exception from the text of an error answer.
error_parser_of = attrgetter("_parser.parse_error")
