"""A carrier without a phone company: stands where livekit-sip stands, in front of a real LiveKit server.

messages, bus   livekit-sip's internal protocol over the broker
book            who answers how at which number
log             what happened, line by line: the oracle of every test
legs            one phone in a room; outbound, inbound: how it gets there
sounds, actors  what it plays, hears and does once somebody has answered
exchange        all of it together; control: the command line's way in
"""
