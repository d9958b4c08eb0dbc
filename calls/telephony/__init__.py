"""What runs on the LiveKit server on our behalf: trunks and dispatch rules, rooms, and the news it sends us.

client      asks the server; the only place that opens a connection to it
names       what the server and the worker call each other
likeness    what the server should have for a trunk or a number
holdings    what it has
mirroring   makes the one into the other
standing    says whether that has worked
rooms       ends rooms that no call needs, and calls whose room is gone
events      what the server tells us of its own accord
tokens      what a browser comes into a room with
supervisors members of the staff in rooms, as the server tells of them
"""
