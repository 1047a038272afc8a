"""Questions for trying the model while it is made: wordings that are in no training text, and that
are not those of the tests either."""

import random

from llmrr.builtin import corpus, wordings

NEW = {
    "capital": """
{x} is ruled from which capital city
please tell me which city we call {x}'s capital
what city did {x} pick as its capital
i keep forgetting {x}'s capital, which one is it
""",
    "country_of": """
name the country that is governed out of its capital {x}
{x} happens to be some country's capital, which country's
which land calls {x} its capital city
""",
    "opposite": """
what word would you use as the opposite for {q}
i need a word that is the exact opposite of {q}
turn {q} into its opposite
give an example of an antonym for {q}
""",
    "colour": """
do you know which color {xs} usually come in
what's the typical colour you'd see on {ax}
when you look at {ax} what color do you see
""",
    "next_day": "which day will we have right after {x}\ntomorrow will be what day if it's {x} now",
    "previous_day": "which day did we have just before {x}",
    "next_month": "when {x} ends, which month starts",
    "previous_month": "which month ends right before {x} starts",
    "month_days": "{x} lasts how many days\nhow many days should i expect in {x}",
    "month_number": "if i count the months, which number will {x} be",
    "nth_month": "could you say which month we call the {x} one",
    "unit": "how many {u} would i find in {ax}\ntell me how many {u} make {ax}",
    "plural": """
what would be the correct plural for the noun {q}
if i had several of them instead of one {x} i would say
give me {q} but in plural
""",
    "singular": """
what would be the correct singular for the noun {q}
give me {q} but in singular
""",
    "past": """
what would the past tense of the verb {q} look like
give me {q} but in the past tense
""",
    "sound": """
which noise would you hear a {x} make
do you know the sound {xs} usually make
""",
    "young": """
which word do people use for a baby {x}
do you know how people call the young ones of a {x}
""",
    "legs": "do you know how many legs you'd count on {ax}",
    "next_letter": "which one of the letters comes directly after {q}",
    "previous_letter": "which one of the letters comes directly before {q}",
    "add": "what total do i get from {a} plus {b}\nput {a} and {b} together, how much is it",
    "subtract": "what is left over from {a} minus {b}\nhow much remains of {a} after taking {b} away",
    "multiply": "what do we get for {a} multiplied by {b}\n{a} times {b}, how much would that be",
    "divide": "what do we get for {a} divided by {b}\n{a} divided by {b}, how much would that be",
    "fixed.pull": "which command should i be using for downloading a model\nhow might i download a model here",
    "fixed.list": "which command prints all the models i have installed",
    "fixed.remove": "how would one go about deleting a model",
    "fixed.convert": "what's the way to turn my model into a gguf",
    "fixed.migrate": "i'm coming from ollama, how do i migrate",
    "fixed.serve": "how can i make llmrr serve a model over http",
    "fixed.run": "how should i go about running a prompt",
    "fixed.chat": "which command starts a chat with a model",
    "fixed.doctor": "what can i run to check that my setup is fine",
    "fixed.who": "please tell me who you are",
    "fixed.name": "what name do you go by",
    "fixed.able": "what things can you do for me",
    "fixed.hello": "hello hello there llmrr",
    "fixed.thanks": "wow thanks a lot for that",
    "fixed.bye": "okay goodbye, see you",
}
OUTSIDE = """
what is the capital of the moon base
what's the capital of zanbolia
which city is the capital of gotham
what is the opposite of tractor
what is the opposite of mexico
what colour is a stapler
what color is my shirt
what sound does a giraffe statue make
what's a baby lemur called
what comes after wednesdog
how many legs does a sofa cushion have
what is 4821 plus 1377
what is 93 times 412
what is the plural of blorptang
who was the first man on the moon
who painted the ceiling of the sistine chapel
what is the boiling point of water
how tall is the eiffel tower
tell me a bedtime story
write me a short poem about autumn
can you code a sorting function in c++
what's the forecast for tomorrow
what time does the supermarket close
how do i cook pasta
how do i reset my router
who is the ceo of apple
what is the meaning of life
explain general relativity to me
translate good morning into spanish
is pluto a planet
how many people live in japan
what language do they speak in brazil
what is the currency of poland
where can i buy cheap shoes
do aliens exist
when did world war one begin
which football club is the best
how old is the universe
what should i have for lunch
my cat is sick
recommend me a good novel
what is the largest desert on earth
why do onions make you cry
what is the square root of 81
what's the stock price of google
who invented the light bulb
how many bones does a human have
what does photosynthesis mean
set a timer for ten minutes
i feel lonely
"""


def questions(count: int, seed: int = 7) -> list[tuple[str, str]]:
    """``count`` questions in wordings of ``NEW``, with their answers."""
    rng = random.Random(seed)
    writer = corpus.Writer(rng)
    found: list[tuple[str, str]] = []
    while len(found) < count:
        fact = writer.fact()
        if fact.kind in NEW:
            wording = rng.choice(wordings.lines(NEW[fact.kind]))
            question = corpus.fill(wording, writer.values(fact.forms) if fact.forms else {})
            found.append((writer.punctuated(question), fact.answer))
    return found


def outside() -> list[str]:
    """Questions that nothing is known about."""
    return wordings.lines(OUTSIDE)
