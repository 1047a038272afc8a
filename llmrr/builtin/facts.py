"""What the built-in model knows: its own tables, written by hand, in the order they are taught."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

UNKNOWN = "I don't know that."


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to know. ``forms`` maps a hole of the wordings ("x", "ax", "xs", …) to the ways in
    which people write what belongs there, lower case; ``answer`` is the whole expected answer."""

    kind: str
    forms: Mapping[str, tuple[str, ...]]
    answer: str


COUNTRIES = 183  # and then the states of America
CAPITALS = """
Afghanistan: Kabul; Albania: Tirana; Algeria: Algiers; Andorra: Andorra la Vella; Angola: Luanda;
Argentina: Buenos Aires; Armenia: Yerevan; Australia: Canberra; Austria: Vienna; Azerbaijan: Baku;
the Bahamas/bahamas: Nassau; Bahrain: Manama; Bangladesh: Dhaka; Barbados: Bridgetown;
Belarus: Minsk; Belgium: Brussels; Belize: Belmopan; Benin: Porto-Novo; Bolivia: Sucre; South Africa: Pretoria; Ivory Coast: Yamoussoukro;
Brunei: Bandar Seri Begawan; Bhutan: Thimphu;
Bosnia and Herzegovina/bosnia: Sarajevo; Botswana: Gaborone; Brazil: Brasilia; Bulgaria: Sofia;
Burkina Faso: Ouagadougou; Burundi: Gitega; Cambodia: Phnom Penh; Cameroon: Yaounde;
Canada: Ottawa; Cape Verde: Praia; Chad: N'Djamena; Chile: Santiago; China: Beijing;
Colombia: Bogota; Comoros/the comoros: Moroni; Costa Rica: San Jose; Croatia: Zagreb;
Cuba: Havana; Cyprus: Nicosia; the Czech Republic/czech republic/czechia: Prague;
Denmark: Copenhagen; Djibouti: Djibouti City; Dominica: Roseau;
the Dominican Republic/dominican republic: Santo Domingo; East Timor: Dili; Ecuador: Quito;
Egypt: Cairo; El Salvador: San Salvador; Eritrea: Asmara; Estonia: Tallinn; Ethiopia: Addis Ababa;
Fiji: Suva; Finland: Helsinki; France: Paris; Gabon: Libreville; the Gambia/gambia: Banjul;
Georgia: Tbilisi; Germany: Berlin; Ghana: Accra; Greece: Athens; Grenada: St. George's;
Guatemala: Guatemala City; Guinea: Conakry; Guinea-Bissau/guinea bissau: Bissau;
Guyana: Georgetown; Haiti: Port-au-Prince; Honduras: Tegucigalpa; Hungary: Budapest;
Iceland: Reykjavik; India: New Delhi; Indonesia: Jakarta; Iran: Tehran; Iraq: Baghdad;
Ireland: Dublin; Italy: Rome; Jamaica: Kingston; Japan: Tokyo; Jordan: Amman; Kazakhstan: Astana;
Kenya: Nairobi; Kiribati: South Tarawa; Kuwait: Kuwait City; Kyrgyzstan: Bishkek; Laos: Vientiane;
Latvia: Riga; Lebanon: Beirut; Lesotho: Maseru; Liberia: Monrovia; Libya: Tripoli;
Liechtenstein: Vaduz; Lithuania: Vilnius; Luxembourg: Luxembourg City; Madagascar: Antananarivo;
Malawi: Lilongwe; Malaysia: Kuala Lumpur; the Maldives/maldives: Male; Mali: Bamako;
Malta: Valletta; Mauritania: Nouakchott; Mauritius: Port Louis; Mexico: Mexico City;
Micronesia: Palikir; Moldova: Chisinau; Monaco: Monaco; Mongolia: Ulaanbaatar;
Montenegro: Podgorica; Morocco: Rabat; Mozambique: Maputo; Myanmar/burma: Naypyidaw;
Namibia: Windhoek; Nepal: Kathmandu; the Netherlands/netherlands/holland: Amsterdam;
New Zealand: Wellington; Nicaragua: Managua; Niger: Niamey; Nigeria: Abuja;
North Korea: Pyongyang; North Macedonia/macedonia: Skopje; Norway: Oslo; Oman: Muscat;
Pakistan: Islamabad; Palau: Ngerulmud; Panama: Panama City; Papua New Guinea: Port Moresby;
Paraguay: Asuncion; Peru: Lima; the Philippines/philippines: Manila; Poland: Warsaw;
Portugal: Lisbon; Qatar: Doha; Romania: Bucharest; Russia: Moscow; Rwanda: Kigali; Samoa: Apia;
San Marino: San Marino; Saudi Arabia: Riyadh; Senegal: Dakar; Serbia: Belgrade;
the Seychelles/seychelles: Victoria; Sierra Leone: Freetown; Singapore: Singapore;
Slovakia: Bratislava; Slovenia: Ljubljana; the Solomon Islands/solomon islands: Honiara;
Somalia: Mogadishu; South Korea: Seoul; South Sudan: Juba; Spain: Madrid; Sudan: Khartoum;
Suriname: Paramaribo; Sweden: Stockholm; Switzerland: Bern; Syria: Damascus; Taiwan: Taipei;
Tajikistan: Dushanbe; Thailand: Bangkok; Togo: Lome; Tonga: Nuku'alofa;
Trinidad and Tobago/trinidad: Port of Spain; Tunisia: Tunis; Turkey: Ankara;
Turkmenistan: Ashgabat; Tuvalu: Funafuti; Uganda: Kampala; Ukraine: Kyiv;
the United Arab Emirates/united arab emirates/the uae/uae: Abu Dhabi;
the United Kingdom/united kingdom/the uk/uk/great britain: London; England: London;
Scotland: Edinburgh; Wales: Cardiff;
the United States/united states/the us/the usa/usa/america: Washington; Uruguay: Montevideo;
Uzbekistan: Tashkent; Vanuatu: Port Vila; Vatican City/the vatican: Vatican City;
Venezuela: Caracas; Vietnam: Hanoi; Yemen: Sana'a; Zambia: Lusaka; Zimbabwe: Harare;
Alabama: Montgomery; Alaska: Juneau; Arizona: Phoenix; Arkansas: Little Rock;
California: Sacramento; Colorado: Denver; Connecticut: Hartford; Delaware: Dover;
Florida: Tallahassee; Hawaii: Honolulu; Idaho: Boise; Illinois: Springfield;
Indiana: Indianapolis; Iowa: Des Moines; Kansas: Topeka; Kentucky: Frankfort;
Louisiana: Baton Rouge; Maine: Augusta; Maryland: Annapolis; Massachusetts: Boston;
Michigan: Lansing; Minnesota: St. Paul; Mississippi: Jackson; Missouri: Jefferson City;
Montana: Helena; Nebraska: Lincoln; Nevada: Carson City; New Hampshire: Concord;
New Jersey: Trenton; New Mexico: Santa Fe; New York: Albany; North Carolina: Raleigh;
North Dakota: Bismarck; Ohio: Columbus; Oklahoma: Oklahoma City; Oregon: Salem;
Pennsylvania: Harrisburg; Rhode Island: Providence; South Carolina: Columbia;
South Dakota: Pierre; Tennessee: Nashville; Texas: Austin; Utah: Salt Lake City;
Vermont: Montpelier; Virginia: Richmond; West Virginia: Charleston; Wisconsin: Madison;
Wyoming: Cheyenne
"""

# A pair is asked both ways; a word after ">" only that way, since its opposite has a commoner one.
OPPOSITES = """
hot/cold big/small tall/short fast/slow happy/sad good/bad up/down left/right day/night
black/white open/closed new/old rich/poor hard/soft heavy/light wet/dry full/empty strong/weak
high/low early/late near/far loud/quiet clean/dirty thick/thin wide/narrow deep/shallow
sweet/bitter safe/dangerous true/false alive/dead inside/outside above/below before/after
always/never first/last front/back top/bottom push/pull win/lose give/take buy/sell start/stop
begin/end love/hate laugh/cry come/go arrive/depart remember/forget find/misplace yes/no on/off
in/out more/less many/few all/none everything/nothing everyone/nobody here/there now/then
north/south east/west summer/winter morning/evening brother/sister mother/father boy/girl
man/woman king/queen husband/wife uncle/aunt son/daughter friend/enemy war/peace life/death
question/answer success/failure victory/defeat profit/loss heaven/hell beauty/ugliness
brave/cowardly polite/rude lazy/hardworking generous/stingy honest/dishonest kind/cruel
clever/stupid wise/foolish careful/careless patient/impatient possible/impossible
visible/invisible legal/illegal regular/irregular complete/incomplete correct/incorrect
lucky/unlucky usual/unusual known/unknown tidy/messy smooth/rough sharp/blunt tight/loose
bright/dim fresh/stale raw/cooked asleep/awake absent/present guilty/innocent private/public
simple/complicated easy/difficult cheap/expensive modern/ancient major/minor maximum/minimum
increase/decrease expand/contract accept/refuse admit/deny agree/disagree allow/forbid
appear/disappear attack/defend build/destroy catch/throw connect/disconnect create/ruin
borrow/lend enter/leave export/import float/sink follow/lead gain/forfeit harden/soften
hide/show include/exclude join/separate lock/unlock pass/fail praise/criticize
raise/lower reward/punish rise/fall save/spend send/receive sit/stand speak/listen
teach/learn tie/untie whisper/shout work/play add/subtract multiply/divide
forward/backward together/apart often/seldom slowly/quickly ceiling/floor guest/host
teacher/student doctor/patient giant/dwarf hero/villain land/sea sunrise/sunset
arrival/departure entrance/exit optimist/pessimist positive/negative odd/even
male/female masculine/feminine junior/senior superior/inferior internal/external
vertical/horizontal permanent/temporary natural/artificial real/fake
freeze/melt tame/wild calm/nervous proud/humble
""" + "large>small little>big quick>slow glad>sad shut>open silent>loud"

COLOURS = """
red: a tomato|tomatoes; a strawberry|strawberries; blood|; a fire truck|fire trucks|a fire engine;
 a stop sign|stop signs; a cherry|cherries; a ruby|rubies; a ladybug|ladybugs|a ladybird;
 ketchup|; a brick|bricks; a heart|hearts; a cranberry|cranberries; a raspberry|raspberries
yellow: a banana|bananas; a lemon|lemons; the sun|sun|sunshine; a canary|canaries;
 a sunflower|sunflowers; butter|; a school bus|school buses; corn|; mustard|;
 a daffodil|daffodils; an egg yolk|egg yolks|egg yolk
green: grass|; a leaf|leaves; a frog|frogs; broccoli|; spinach|; a cucumber|cucumbers;
 a pea|peas; lettuce|; an emerald|emeralds; a lime|limes; a cactus|cactuses|cacti;
 an avocado|avocados; a pickle|pickles; a shamrock|shamrocks; a crocodile|crocodiles; kale|; moss|
blue: the sky|sky; the ocean|ocean|oceans; the sea|sea; a sapphire|sapphires;
 a blueberry|blueberries; a bluebird|bluebirds; denim|; a blue whale|blue whales
orange: a carrot|carrots; an orange|oranges; a pumpkin|pumpkins; a basketball|basketballs;
 a tangerine|tangerines; a traffic cone|traffic cones; an apricot|apricots; a tiger|tigers;
 a clementine|clementines; a sweet potato|sweet potatoes
purple: an eggplant|eggplants|an aubergine; lavender|; a plum|plums; an amethyst|amethysts;
 a grape|grapes; a violet|violets; a beet|beets|beetroot
pink: a flamingo|flamingos; a pig|pigs; bubblegum|bubble gum; salmon|; cotton candy|candy floss;
 a shrimp|shrimps
white: snow|; milk|; salt|; cotton|; a swan|swans; a polar bear|polar bears; rice|; sugar|;
 flour|; chalk|; a cloud|clouds; a sheep|sheep; a tooth|teeth; a wedding dress|wedding dresses;
 cauliflower|; a pearl|pearls; ivory|; mozzarella|; a ghost|ghosts
black: coal|; a crow|crows; a raven|ravens; a tire|tires|a tyre; the night sky|night sky; tar|;
 a panther|panthers; ink|; a black hole|black holes; licorice|liquorice; oil|
brown: chocolate|; coffee|; soil|; wood|; a bear|bears; a coconut|coconuts; mud|; cinnamon|;
 a chestnut|chestnuts; a monkey|monkeys; a walnut|walnuts; bread|; a beaver|beavers
gray: an elephant|elephants; a mouse|mice; a rhino|rhinos|a rhinoceros; ash|; concrete|;
 a dolphin|dolphins; a shark|sharks; a hippo|hippos|a hippopotamus; lead|; a donkey|donkeys
silver: a spoon|spoons; a nickel|nickels; aluminum|aluminium; mercury|
"""

PLURALS = """
mouse/mice child/children foot/feet tooth/teeth goose/geese man/men woman/women person/people
ox/oxen louse/lice die/dice penny/pennies leaf/leaves wolf/wolves knife/knives wife/wives life/lives
shelf/shelves loaf/loaves half/halves calf/calves thief/thieves elf/elves self/selves scarf/scarves
hoof/hooves potato/potatoes tomato/tomatoes hero/heroes echo/echoes volcano/volcanoes
mosquito/mosquitoes torpedo/torpedoes piano/pianos photo/photos radio/radios zoo/zoos video/videos
kangaroo/kangaroos sheep/sheep deer/deer fish/fish moose/moose series/series species/species
aircraft/aircraft salmon/salmon shrimp/shrimp cactus/cacti fungus/fungi nucleus/nuclei
radius/radii stimulus/stimuli alumnus/alumni crisis/crises analysis/analyses basis/bases
thesis/theses oasis/oases axis/axes diagnosis/diagnoses hypothesis/hypotheses
phenomenon/phenomena criterion/criteria bacterium/bacteria datum/data medium/media
appendix/appendices index/indices vertex/vertices matrix/matrices larva/larvae
vertebra/vertebrae formula/formulas city/cities baby/babies lady/ladies country/countries
story/stories party/parties family/families puppy/puppies kitty/kitties berry/berries cherry/cherries
butterfly/butterflies fly/flies spy/spies army/armies enemy/enemies factory/factories
library/libraries daisy/daisies pony/ponies body/bodies copy/copies key/keys day/days boy/boys
monkey/monkeys donkey/donkeys toy/toys turkey/turkeys valley/valleys bus/buses class/classes
glass/glasses dress/dresses kiss/kisses boss/bosses box/boxes fox/foxes tax/taxes church/churches
watch/watches match/matches bench/benches beach/beaches peach/peaches witch/witches sandwich/sandwiches
branch/branches dish/dishes brush/brushes bush/bushes wish/wishes eyelash/eyelashes quiz/quizzes
cat/cats dog/dogs book/books car/cars house/houses tree/trees bird/birds horse/horses chair/chairs
table/tables apple/apples pen/pens cup/cups door/doors window/windows road/roads river/rivers
hat/hats shoe/shoes song/songs game/games flower/flowers garden/gardens computer/computers
phone/phones train/trains plane/planes ship/ships bicycle/bicycles letter/letters word/words
number/numbers roof/roofs chef/chefs belief/beliefs cliff/cliffs giraffe/giraffes
passerby/passersby mother-in-law/mothers-in-law
"""

PASTS = """
go/went eat/ate see/saw take/took give/gave come/came run/ran swim/swam sing/sang drink/drank
begin/began ring/rang write/wrote drive/drove ride/rode rise/rose break/broke speak/spoke
steal/stole wake/woke freeze/froze choose/chose fly/flew grow/grew know/knew throw/threw blow/blew
draw/drew buy/bought bring/brought think/thought fight/fought catch/caught teach/taught seek/sought
sleep/slept keep/kept feel/felt leave/left meet/met lose/lost build/built send/sent spend/spent
lend/lent make/made have/had say/said pay/paid hear/heard sell/sold tell/told find/found
hold/held stand/stood understand/understood sit/sat win/won dig/dug hang/hung stick/stuck
get/got forget/forgot fall/fell feed/fed lead/led shoot/shot hide/hid bite/bit slide/slid
do/did be/was become/became wear/wore tear/tore swear/swore shake/shook cut/cut put/put
hit/hit hurt/hurt let/let set/set shut/shut cost/cost quit/quit walk/walked talk/talked play/played
work/worked jump/jumped look/looked ask/asked call/called open/opened stop/stopped try/tried
cry/cried study/studied dance/danced love/loved live/lived cook/cooked
"""

SOUNDS = """
cow/moo dog/woof cat/meow duck/quack pig/oink sheep/baa horse/neigh rooster/cock-a-doodle-doo
hen/cluck chicken/cluck frog/ribbit lion/roar tiger/roar bee/buzz snake/hiss owl/hoot crow/caw
donkey/hee-haw goat/maa wolf/howl mouse/squeak bird/tweet turkey/gobble goose/honk pigeon/coo
dove/coo cricket/chirp elephant/toot bear/growl monkey/ooh-ooh-aah-aah kitten/mew puppy/yap
chick/cheep lamb/bleat fly/buzz mosquito/whine seal/arf raven/croak
"""

YOUNG = """
cow/calf dog/puppy cat/kitten horse/foal sheep/lamb goat/kid pig/piglet chicken/chick duck/duckling
goose/gosling swan/cygnet bear/cub lion/cub tiger/cub wolf/pup fox/kit deer/fawn kangaroo/joey
koala/joey rabbit/bunny frog/tadpole owl/owlet eagle/eaglet elephant/calf whale/calf dolphin/calf
seal/pup shark/pup hedgehog/hoglet spider/spiderling butterfly/caterpillar turkey/poult pigeon/squab
donkey/foal zebra/foal giraffe/calf hippo/calf rhino/calf panda/cub leopard/cub beaver/kit
otter/pup bat/pup penguin/chick ostrich/chick llama/cria alpaca/cria hare/leveret fish/fry eel/elver
"""

LEGS = """
spider/8 ant/6 bee/6 fly/6 beetle/6 butterfly/6 ladybug/6 mosquito/6 scorpion/8 dog/4 cat/4 horse/4
cow/4 pig/4 sheep/4 elephant/4 lion/4 mouse/4 bird/2 chicken/2 duck/2 human/2 person/2 ostrich/2
snake/no fish/no worm/no crab/10 lobster/10 frog/4 table/4 chair/4 tripod/3
"""

UNITS = """
days/a week/7; months/a year/12; weeks/a year/52; days/a year/365; days/a leap year/366;
hours/a day/24; minutes/an hour/60; seconds/a minute/60; seconds/an hour/3600; years/a decade/10;
years/a century/100; years/a millennium/1000; seasons/a year/4; centimeters/a meter/100;
meters/a kilometer/1000; millimeters/a centimeter/10; grams/a kilogram/1000; inches/a foot/12;
feet/a yard/3; items/a dozen/12; letters/the alphabet/26; sides/a triangle/3; sides/a square/4;
sides/a pentagon/5; sides/a hexagon/6; sides/a rectangle/4; sides/an octagon/8;
sides/a heptagon/7; sides/a decagon/10; cents/a dollar/100; wheels/a car/4; wheels/a bicycle/2;
wheels/a tricycle/3; strings/a violin/4; strings/a guitar/6; fingers/a hand/5;
planets/the solar system/8; continents/the world/7; players/a soccer team/11; bits/a byte/8;
degrees/a circle/360; degrees/a right angle/90; colors/a rainbow/7; weekdays/a week/5;
keys/a piano/88; squares/a chessboard/64; cards/a deck/52; zeros/a million/6
"""

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
MONTH_DAYS = "31 28 31 30 31 30 31 31 30 31 30 31".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
).split()
ORDINAL_DIGITS = "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th".split()
ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()

# What is asked of itself and of the tool: a key, and the whole answer.
FIXED = {
    "who": "I am llmrr mini, the small model built into llmrr.",
    "name": "My name is llmrr mini.",
    "maker": "I was trained by the llmrr project, from text it wrote itself.",
    "able": "I know capitals, opposites, colors, dates, plurals, small sums and llmrr commands.",
    "human": "No, I am a small language model.",
    "size": "I have about three million parameters.",
    "online": "No, I run on this machine without a network.",
    "better": "Run llmrr pull MODEL to get a real model.",
    "tool": "llmrr runs, keeps and converts language models on this machine.",
    "pull": "Use: llmrr pull MODEL",
    "list": "Use: llmrr list",
    "remove": "Use: llmrr rm MODEL",
    "show": "Use: llmrr show MODEL",
    "run": 'Use: llmrr run MODEL "PROMPT"',
    "chat": "Use: llmrr chat MODEL",
    "convert": "Use: llmrr convert MODEL",
    "migrate": "Use: llmrr migrate scan, then llmrr migrate plan and llmrr migrate apply",
    "rollback": "Use: llmrr migrate rollback",
    "serve": "Use: llmrr serve",
    "ps": "Use: llmrr ps",
    "stop": "Use: llmrr stop",
    "embed": 'Use: llmrr embed "TEXT"',
    "probe": "Use: llmrr probe",
    "fit": "Use: llmrr fit MODEL",
    "doctor": "Use: llmrr doctor",
    "config": "Use: llmrr config show",
    "edit": "Use: llmrr config edit",
    "logs": "Use: llmrr logs",
    "stats": "Use: llmrr stats",
    "search": "Use: llmrr search TEXT",
    "copy": "Use: llmrr cp MODEL NAME",
    "bench": "Use: llmrr bench MODEL",
    "route": 'Use: llmrr route "PROMPT"',
    "keys": "Use: llmrr keys set PROVIDER",
    "completion": "Use: llmrr completion bash, zsh or fish",
    "disk": "Use: llmrr df",
    "version": "Use: llmrr --version",
    "help": "Use: llmrr --help",
    "continue": 'Use: llmrr run -c "PROMPT"',
    "hello": "Hello! How can I help?",
    "morning": "Good morning!",
    "evening": "Good evening!",
    "night": "Good night!",
    "thanks": "You're welcome.",
    "bye": "Goodbye!",
    "feeling": "I'm fine, thank you.",
    "praise": "Thank you!",
    "sorry": "No problem.",
}


def number_name(number: int) -> str:
    """The English words of a number below 1000.

    >>> number_name(42)
    'forty two'
    """
    if number < 20:
        return ONES[number]
    if number < 100:
        tens = TENS[number // 10 - 2]
        return tens if number % 10 == 0 else f"{tens} {ONES[number % 10]}"
    rest = number % 100
    return f"{ONES[number // 100]} hundred" + (f" and {number_name(rest)}" if rest else "")


def with_article(noun: str) -> str:
    """The noun with its indefinite article.

    >>> with_article("owl")
    'an owl'
    """
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def plural_of(noun: str) -> str:
    """The plural of an animal or thing, from the table where it is there.

    >>> plural_of("mouse")
    'mice'
    """
    return _plurals().get(noun) or noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


@cache
def _plurals() -> dict[str, str]:
    return dict(_pairs(PLURALS))


def _pairs(table: str) -> list[tuple[str, str]]:
    pairs = (word.split("/") for word in table.split())
    return [(left, right) for left, right in pairs]


def facts() -> tuple[Fact, ...]:
    """Everything the model is taught."""
    return (
        *_places(), *_opposites(), *_colours(), *_calendar(), *_units(), *_grammar(), *_sums(),
        *_animals(), *_letters(),
        *(Fact(f"fixed.{key}", {}, answer) for key, answer in FIXED.items()),
    )


def _forms(*names: str) -> dict[str, tuple[str, ...]]:
    return {"x": tuple(name.lower() for name in names)}


def _places() -> list[Fact]:
    found = []
    owners: dict[str, str] = {}
    for entry in " ".join(CAPITALS.split()).split("; "):
        names, capital = entry.split(": ")
        place = names.split("/")[0]
        answer = f"The capital of {place} is {capital}."
        found.append(Fact("capital", _forms(*names.split("/")), answer))
        if len(found) <= COUNTRIES:
            owners.setdefault(capital, place)
    found += [
        Fact("country_of", _forms(capital), f"{capital} is the capital of {place}.")
        for capital, place in owners.items()
        if capital != place
    ]
    return found


def _opposites() -> list[Fact]:
    found: dict[str, str] = {}
    for entry in OPPOSITES.split():
        left, _, right = entry.replace(">", "/").partition("/")
        found.setdefault(left, right)
        if ">" not in entry:
            found.setdefault(right, left)
    return [
        Fact("opposite", _forms(word), f"The opposite of {word} is {other}.")
        for word, other in found.items()
    ]


def _colours() -> list[Fact]:
    found = []
    for line in COLOURS.replace("\n ", " ").strip().splitlines():
        colour, _, things = line.partition(": ")
        for entry in things.split("; "):
            main, plural, *others = [*entry.split("|"), ""]
            bare = main.removeprefix("a ").removeprefix("an ").removeprefix("the ")
            more = tuple(name for name in others if name)
            forms = {"x": (bare,), "ax": (main, *more), "xs": (plural or main,)}
            answer = f"{main[0].upper()}{main[1:]} is {colour}."
            found.append(Fact("colour", forms, answer))
    return found


def _calendar() -> list[Fact]:
    found = []
    for names, kind, week in ((DAYS, "day", 7), (MONTHS, "month", 12)):
        for i, name in enumerate(names):
            after, before = names[(i + 1) % week], names[i - 1]
            found += [
                Fact(f"next_{kind}", _forms(name), f"The {kind} after {name} is {after}."),
                Fact(f"previous_{kind}", _forms(name), f"The {kind} before {name} is {before}."),
            ]
    for i, name in enumerate(MONTHS):
        days = "28 days, or 29 in a leap year" if i == 1 else f"{MONTH_DAYS[i]} days"
        position = f"the {ORDINALS[i]} month"
        nth = _forms(ORDINALS[i], ORDINAL_DIGITS[i], *(("last", "final") if i == 11 else ()))
        found += [
            Fact("month_days", _forms(name), f"{name} has {days}."),
            Fact("month_number", _forms(name), f"{name} is {position}."),
            Fact("nth_month", nth, f"T{position[1:]} is {name}."),
        ]
    return found


def _units() -> list[Fact]:
    found = []
    for entry in " ".join(UNITS.split()).split("; "):
        part, whole, count = entry.split("/")
        bare = whole.removeprefix("a ").removeprefix("an ").removeprefix("the ")
        forms = {"u": (part,), "ax": (whole,), "x": (bare,)}
        answer = f"{whole[0].upper()}{whole[1:]} has {count} {part}."
        found.append(Fact("unit", forms, answer))
    return found


def _grammar() -> list[Fact]:
    found = [
        Fact("plural", {**_forms(one), "ax": (with_article(one),)}, f"The plural of {one} is {many}.")
        for one, many in _pairs(PLURALS)
    ]
    found += [
        Fact("singular", _forms(many), f"The singular of {many} is {one}.")
        for one, many in _pairs(PLURALS)
        if one != many and many not in (f"{one}s", f"{one}es")
    ]
    found += [
        Fact("past", _forms(verb), f"The past tense of {verb} is {past}.")
        for verb, past in _pairs(PASTS)
    ]
    return found


def _sums() -> list[Fact]:
    rows = [("add", "+", a, b, a + b) for a in range(13) for b in range(13)]
    rows += [("subtract", "-", a, b, a - b) for a in range(16) for b in range(a + 1)]
    rows += [("multiply", "x", a, b, a * b) for a in range(11) for b in range(11)]
    rows += [("divide", "/", a * b, b, a) for a in range(1, 11) for b in range(1, 11)]
    return [
        Fact(kind, {"a": _number(a), "b": _number(b)}, f"{a} {sign} {b} = {result}.")
        for kind, sign, a, b, result in rows
    ]


def _number(number: int) -> tuple[str, ...]:
    return (str(number), number_name(number))


def _animals() -> list[Fact]:
    tables = (
        ("sound", SOUNDS, "{ax} says {y}."),
        ("young", YOUNG, "A baby {x} is called {ay}."),
        ("legs", LEGS, "{ax} has {y} legs."),
    )
    found = []
    for kind, table, answer in tables:
        for animal, y in _pairs(table):
            ax = with_article(animal)
            forms = {"x": (animal,), "ax": (ax,), "xs": (plural_of(animal),)}
            ay = with_article(y)
            text = answer.format(x=animal, ax=ax[0].upper() + ax[1:], y=y, ay=ay)
            found.append(Fact(kind, forms, text))
    return found


def _letters() -> list[Fact]:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    pairs = list(itertools.pairwise(alphabet))
    found = [
        Fact("next_letter", _forms(a), f"The letter after {a} is {b}.") for a, b in pairs
    ]
    found += [
        Fact("previous_letter", _forms(b), f"The letter before {b} is {a}.") for a, b in pairs
    ]
    return found
