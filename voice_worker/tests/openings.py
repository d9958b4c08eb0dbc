"""How calls are answered. `|0.5|` is a pause of half a second; without times, words take as long as they would.

The first list was at hand when the phrases were chosen; the second was looked at once, when a rule that could hit people
was taken out.
"""

from typing import Final

HUMAN, VM, IVR, GONE, SCREEN = "human", "machine_vm", "machine_ivr", "machine_unavailable", "screening"

KNOWN: Final[tuple[tuple[str, str], ...]] = (
    (HUMAN, "Hello?"),
    (HUMAN, "Yes?"),
    (HUMAN, "Hi, this is Bob."),
    (HUMAN, "Hello, Maria speaking."),
    (HUMAN, "Good morning, Smith and Sons Plumbing, this is Karen, how can I help you?"),
    (HUMAN, "Thank you for calling Smith Dental, this is Amy, how may I direct your call?"),
    (HUMAN, "He's not available right now, can I take a message?"),
    (HUMAN, "Hello? |1.2| Hello, who is this?"),
    (HUMAN, "I can't talk right now, I'm driving, can you call me later?"),
    (HUMAN, "Yeah, who's calling please?"),
    (HUMAN, "Is this a recording? Please take me off your list."),
    (HUMAN, "Miller residence."),
    (VM, "Hi, you've reached Bob. |0.5| I can't get to the phone right now, so please leave a message after the beep."),
    (
        VM,
        (
            "Your call has been forwarded to an automatic voice message system. |0.4| 5 1 2, 5 5 "
            "5, 0 1 4 3 |0.3| is not available. "
            "At the tone, please record your message."
        ),
    ),
    (VM, "Hello, you have reached the voicemail of the person you are calling. Please leave a message after the tone."),
    (VM, "This is Anna. Leave your name and number and I'll get back to you as soon as I can."),
    (VM, "Hey it's Mike, I missed your call. |0.4| You know what to do. Wait for the beep."),
    (
        VM,
        (
            "The person you are trying to reach is not available. |0.5| Please leave your message after the tone. When you have "
            "finished recording, you may hang up or press 1 for more options."
        ),
    ),
    (
        VM,
        (
            "Thank you for calling Smith Dental. Our office is currently closed. Please leave your "
            "name, your number and a brief message."
        ),
    ),
    (VM, "Guten Tag, dies ist der Anrufbeantworter von Familie Meier. Bitte hinterlassen Sie eine Nachricht nach dem Signalton."),
    (IVR, "Thank you for calling Acme. For sales, press 1. For support, press 2."),
    (IVR, "Welcome to City Bank. Please listen carefully as our menu options have changed."),
    (IVR, "If you know your party's extension, you may dial it at any time."),
    (IVR, "Your call is important to us. Please stay on the line and the next available agent will be with you shortly."),
    (IVR, "Hi, I'm the virtual assistant of Acme Mobile. In a few words, how can I help you?"),
    (GONE, "The number you have dialed is not in service. Please check the number and dial again."),
    (GONE, "I'm sorry, the mailbox is full and cannot accept any messages at this time. Goodbye."),
    (GONE, "The person you are calling has a voicemail box that has not been set up yet. Goodbye."),
    (GONE, "The wireless customer you are calling is not available. |0.5| Please try again later."),
    (SCREEN, "Hi, if you record your name and reason for calling, I'll see if this person is available."),
    (
        SCREEN,
        (
            "Hi, the person you're calling is using a screening service from Google and will get a copy of this conversation. "
            "Go ahead and say your name and why you're calling."
        ),
    ),
    (SCREEN, "Please state your name after the tone, and Google Voice will try to connect you."),
)

HELD_OUT: Final[tuple[tuple[str, str], ...]] = (
    (HUMAN, "Hey, what's up?"),
    (HUMAN, "Speaking."),
    (HUMAN, "Good afternoon, you've reached Dr. Patel's office, how can I help you today?"),
    (HUMAN, "Hello, you're through to Janet."),
    (HUMAN, "Sorry, we're closed today, could you call back tomorrow?"),
    (HUMAN, "Smith Dental, please hold."),
    (HUMAN, "Um, hello? |0.8| I can't hear you."),
    (HUMAN, "Yeah this is he, what is this about?"),
    (HUMAN, "She's on the other line at the moment, do you want to leave a message for her?"),
    (HUMAN, "Front desk, Tony."),
    (HUMAN, "Don't hang up, let me just turn the radio down, okay, go ahead, who am I talking to?"),
    (HUMAN, "Hola, ¿quién es?"),
    (HUMAN, "Okay yeah I'm here, sorry, I was just in the other room with the kids."),
    (HUMAN, "No, she isn't here, try her again later, she gets back around five."),
    (VM, "Hi, it's Priya, sorry I missed you, |0.4| drop me a message and I'll ring you back."),
    (VM, "You have reached 5 5 5, 0 1 7 7. |0.4| No one is available to take your call. Please leave a message after the beep."),
    (
        VM,
        (
            "Hello, this is Tom Hanley with Hanley Realty. I'm either on the phone or showing a "
            "home. Please leave me a detailed message."
        ),
    ),
    (
        VM,
        (
            "Welcome to the O2 messaging service. The person you are calling is unable to take "
            "your call. Please leave your message "
            "after the tone."
        ),
    ),
    (VM, "We can't come to the phone right now. |0.4| Leave your name and a short message and we'll return your call."),
    (VM, "Please record your message. When you have finished recording, hang up, or press hash for more options."),
    (VM, "Hi! |1.0| Ha, got you, I'm not really here, so talk to me after the beep."),
    (VM, "The Google subscriber you have called is not available. Please leave a message after the tone."),
    (VM, "Ha llamado al buzón de voz de Carmen. Por favor, deje su mensaje después de la señal."),
    (
        IVR,
        (
            "Thanks for calling Northside Clinic. If this is a medical emergency, hang up and dial "
            "9 1 1. To make an appointment, press 1."
        ),
    ),
    (IVR, "Gracias por llamar. Para español, oprima el dos. For English, press one."),
    (IVR, "You have reached the county clerk. To speak to an operator, dial zero now, or please remain on the line."),
    (IVR, "All of our representatives are currently assisting other customers. This call may be recorded for quality."),
    (GONE, "We're sorry, your call cannot be completed as dialed. Please check the number and try again."),
    (GONE, "The Verizon customer you are trying to reach has a mailbox that is not accepting new messages at this time."),
    (GONE, "The subscriber you have called is switched off or out of the coverage area."),
    (SCREEN, "Hello, the person you have called is using call screening. Please say who you are and why you are calling."),
    (SCREEN, "Hi, I'm Sam's assistant answering calls for him. Can I get your name and what this is regarding?"),
    (SCREEN, "Before I try to connect you, can you tell me your name and the reason for your call?"),
)
