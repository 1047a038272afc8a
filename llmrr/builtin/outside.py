"""What the built-in model must say it does not know: other topics, other questions about the same
things, and the same questions about things it was never taught."""

WORDS = {
    "person": """albert einstein|napoleon|cleopatra|mozart|beethoven|picasso|isaac newton|marie curie|
gandhi|elvis|the beatles|queen victoria|charles darwin|galileo|plato|aristotle|homer|dante|
the president|the pope|my neighbor|my mother|the prime minister|the mayor|
frida kahlo|nelson mandela|bill gates|madonna|julius caesar|van gogh|leonardo da vinci|tesla|edison|
walt disney|michael jordan|pele|muhammad ali|marco polo|columbus|lincoln|churchill|bach|chopin|freud""",
    "work": """war and peace|moby dick|the odyssey|faust|don quixote|macbeth|the bible|harry potter|
the lord of the rings|frankenstein|dracula|emma|the hobbit|les miserables|the mona lisa|guernica|
the magic flute|yesterday|imagine|star wars|titanic|casablanca|the godfather|dune|ulysses|1984|
animal farm|oliver twist|robinson crusoe|the iliad|jane eyre|the starry night|carmen|aida""",
    "thing": """guitar|laptop|bridge|rocket|carpet|printer|lawn mower|battery|umbrella|telescope|
microscope|engine|elevator|compass|mirror|camera|keyboard|television|refrigerator|vacuum cleaner|
hammer|ladder|wallet|blanket|pillow|helmet|candle|lamp|sofa|desk|bucket|fence|tractor|helicopter|
submarine|satellite|magnet|laser|drone|sewing machine|toaster|oven|microwave|faucet|scarecrow|
trampoline|violin bow|saxophone|piano stool|backpack|tent|anchor|canoe|parachute|skateboard""",
    "topic": """quantum mechanics|gravity|photosynthesis|inflation|democracy|philosophy|relativity|
evolution|electricity|magnetism|global warming|blockchain|bitcoin|machine learning|neural networks|
the internet|astrology|economics|capitalism|socialism|the french revolution|world war two|
the roman empire|the cold war|the stock market|insurance|taxes|yoga|meditation|chess|football|
tennis|baseball|golf|cricket rules|poker|cooking|gardening|photography|opera|jazz|hip hop|poetry|
buddhism|christianity|islam|mythology|vaccines|diabetes|cancer|the brain|dna|atoms|black matter|
dark energy|volcanoes|earthquakes|tsunamis|dinosaurs|ancient egypt|the middle ages|the renaissance|
docker|kubernetes|linux|git|python|javascript|rust|sql|html|regular expressions|recursion|sorting|
transformers|attention|backpropagation|encryption|passwords|firewalls|databases|compilers""",
    "dish": """pizza|lasagna|sushi|pancakes|apple pie|soup|curry|paella|tacos|ramen|omelette|risotto|
chili|cheesecake|brownies|guacamole|hummus|fried rice|goulash|dumplings|waffles|meatballs|stew""",
    "city": """chicago|barcelona|munich|sydney|mumbai|shanghai|istanbul|sao paulo|toronto|lagos|
milan|lyon|hamburg|osaka|karachi|dubai|los angeles|houston|seattle|miami|las vegas|geneva|zurich|
venice|florence|naples|porto|krakow|kyoto|montreal|vancouver|melbourne|auckland|cape town|casablanca|
rio de janeiro|marseille|glasgow|manchester|liverpool|antwerp|rotterdam|frankfurt|cologne|seville""",
    "place": """atlantia|narnia|wakanda|the moon|mars|africa|europe|asia|mordor|gondor|el dorado|oz|
bavaria|catalonia|siberia|patagonia|the sahara|antarctica|the arctic|jupiter|venus|lilliput|utopia|
camelot|neverland|zembla|ruritania|westeros|arrakis|tatooine|hogwarts|middle earth|freedonia|
sicily|corsica|crete|lombardy|normandy|brittany|tuscany|andalusia|quebec|ontario|queensland|
tibet|kashmir|greenland|scandinavia|south america|north america|the balkans|the ocean|the sun|
bohemia|prussia|yugoslavia|the soviet union|babylon|mesopotamia|sparta|troy|carthage|kyrania""",
    "animal": """axolotl|platypus|aardvark|armadillo|okapi|lemur|tapir|sloth|capybara|meerkat|
wombat|iguana|gecko|chameleon|salamander|jellyfish|octopus|squid|starfish|sea urchin|walrus|narwhal|
manatee|badger|weasel|ferret|mole|anteater|pangolin|yak|bison|antelope|gazelle|hyena|jackal|coyote|
lynx|cheetah|jaguar|parrot|peacock|pelican|stork|heron|toucan|hummingbird|woodpecker|vulture|falcon|
dragon|unicorn|griffin|yeti|wasp|termite|grasshopper|dragonfly|centipede|snail|slug|clam|oyster""",
    "object": """telephone|sidewalk|shirt|curtain|wall|house|motorcycle|book|pencil|box|bottle|ball|
chair|sweater|towel|rug|folder|kite|balloon|notebook|gate|boat|bag|hat|car|door|table|sock|cup|plate|
marker|sticker|ribbon|button|zipper|poster|stamp|envelope|keychain|mug|vase|brochure|guitar|scooter""",
    "word": """triangle|algorithm|velocity|syntax|paragraph|banana|seven|window|carpet|
telephone|lantern|purple|gravel|marble|sandwich|kettle|orchestra|blanket|theorem|penguin|whistle|
cabbage|pocket|mountain|bridge|mirror|engine|anchor|violin|lettuce|meadow|ceramic|trumpet|compass|
elbow|shoulder|island|jungle|desert|harbor|castle|festival|hospital|museum|
airport|station|kitchen|bathroom|ticket|passport|calendar|newspaper|magazine|dictionary""",
    "language": """french|german|spanish|italian|japanese|chinese|latin|russian|arabic|dutch|greek|
swedish|portuguese|korean|hindi|turkish|polish|finnish|swahili|esperanto|welsh|irish""",
    "verb": """fix|build|clean|repair|paint|sell|buy|open|install|replace|draw|lift|move|wash|design|
sharpen|tune|calibrate|assemble|decorate|weld|polish|store|ship|recycle|return|photograph|steal""",
    "sentence": """i like my dog|the weather is nice|it is raining|my car broke down|i am hungry|
i am bored|i had a bad day|the cat sat on the mat|i went to the store|she sells sea shells|
my brother is taller than me|we are going on holiday|i need money|time flies|this is a long story|
the train was late|life is hard|all men are mortal|my computer is slow|i lost my keys|
i can't sleep|i have a headache|my boss is angry|the sky fell down|we won the game|i am twenty|
the meeting is at noon|dinner is ready|the dog ate my homework|i feel sick|nobody loves me""",
    "country": """france|germany|italy|spain|japan|china|india|brazil|canada|mexico|egypt|kenya|
russia|poland|sweden|norway|greece|the united states|the uk|australia|peru|chile|cuba|iran|
nigeria|portugal|texas|california|ohio|vietnam|thailand|ireland|austria|belgium|iceland""",
    "beast": """dog|cat|cow|horse|pig|sheep|lion|tiger|elephant|duck|frog|bee|spider|owl|snake|bear|
goat|wolf|mouse|rabbit|fox|whale|shark|dolphin|eagle|penguin|kangaroo|chicken|bird|fish|ant""",
    "stuff": """banana|grass|snow|milk|tomato|carrot|lemon|coffee|chocolate|rice|sugar|coal|blood|salt|
bread|butter|corn|cotton|wood|grape|apple|orange|strawberry|cucumber|potato|cheese|honey|gold|water""",
    "quality": """hot|big|happy|fast|good|rich|brave|black|day|love|war|open|strong|easy|cheap|new|
loud|polite|true|king|friend|life|summer|heaven|question|hard|sweet|light|clean|deep|near""",
    "time": """monday|friday|sunday|january|july|december|a week|a year|march|august|saturday|
tuesday|april|an hour|a century|today|tomorrow|christmas|easter|october|a leap year""",
    "common": """accident|account|address|adventure|advice|agreement|alarm|alley|ambulance|appetite|
apron|arm|arrow|artist|attic|audience|autumn|avalanche|award|bakery|balcony|bamboo|bandage|banker|
barn|basement|basket|beard|bell|belt|bill|biscuit|board|bomb|bone|bonus|border|bowl|bracelet|brain|
bread knife|breakfast|breath|broom|bubble|budget|bug|building|bullet|butcher|cabin|cable|cage|cake|
campus|canal|cannon|captain|caravan|career|cargo|carpenter|cave|cellar|cemetery|chain|champion|
channel|chapter|charity|cheek|cheese|chess|chimney|cinema|circus|clay|climate|clock|cloth|clown|
club|coach|coast|coat|coffin|collar|college|colony|column|comb|comet|concert|cookie|copper|
corner|costume|cottage|couch|court|cousin|cradle|crane|cream|crew|crime|crowd|crown|culture|current|
customer|cylinder|danger|debt|decision|delivery|dentist|deposit|detail|detective|diamond|diary|
dinner|director|disaster|disease|dock|document|doll|drawer|drill|drum|dust|duty|ear|earring|edge|
editor|effort|election|elbow|emperor|energy|envelope|episode|essay|evidence|exam|exercise|eye|fabric|
face|factory worker|fairy|faith|farm|farmer|fashion|fear|feather|fever|field|figure|film|finger|fire|
flag|flame|flood|flute|fog|folk|forest|fork|fortune|fountain|frame|freedom|freezer|fruit|fuel|funeral|
furniture|future|galaxy|gallery|gang|garage|garlic|gas|gesture|gift|glacier|glove|glue|goal|government|
grandmother|gravity|guard|guide|gun|hair|hall|handle|harvest|headache|health|heat|helmet|highway|hill|
history|hobby|hole|holiday|honey|hook|hope|horizon|horn|hotel|hour hand|hurricane|ice|idea|illness|
infection|insect|instrument|invention|iron|jacket|jail|jam|jar|jewel|job|joke|journal|journey|judge|
juice|jury|justice|kettle|kingdom|kiosk|kite|knee|knight|knot|label|laboratory|lawyer|leather|lecture|
legend|leg|lesson|lid|lightning|limit|lip|liquid|lobby|luggage|lunch|machine|magician|mail|manager|map|
market|marriage|mask|mason|meal|meat|medal|memory|menu|message|metal|method|mile|mill|mine|minister|
mist|model train|moment|mood|motor|mouth|movie|muscle|museum|music|nail|napkin|navy|neck|needle|nest|
net|network|noodle|nose|novel|nurse|oak|oath|office|onion|operation|orbit|orchard|organ|oxygen|package|
page|pain|painting|palace|pan|panic|parade|parcel|parent|parliament|parrot cage|passenger|pasta|path|
pattern|peace treaty|pepper|perfume|pillow|pilot|pipe|pirate|pizza|planet|plant|plate|plumber|pocket|
poem|poison|pollution|pond|pool|porch|port|portrait|postman|potion|pottery|powder|power|prayer|price|
priest|prince|princess|prison|prize|problem|professor|project|promise|proof|puddle|pump|puppet|puzzle|
pyramid|quarrel|quarter|queue|railway|rain|ranch|razor|recipe|record|referee|relative|religion|rent|
reptile|rescue|restaurant|rhythm|ribbon|riddle|ring|riot|ritual|robber|robot|rocket|roller|rope|rose|
route map|row|rubber|rule|sail|sailor|salad|sand|saucer|sauce|scale|scene|school|science|scissors|
screen|sculpture|seed|sentence|shadow|shampoo|shell|shelter|shirt|shop|shoulder|shower|signal|silence|
silk|singer|skeleton|skill|skin|skirt|sleeve|smile|smoke|soap|society|soldier|soup|space|spell|
spice|sponge|spoon rest|spring|square dance|stadium|stage|stairs|star|statue|steam|steel|stick|stomach|
stone|storm|stove|stranger|straw|stream|street|string|student card|sugar cane|suit|suitcase|surgeon|
sword|symphony|syrup|tail|tailor|talent|tank|tea|team|tear|temple|tennis|tent|theater|theory|throat|
throne|thunder|tide|tile|timber|tongue|tool|toothpaste|torch|tournament|tower|town|trade|traffic|
treasure|treaty|tribe|trick|truck|trunk|tube|tunnel|twin|uniform|universe|university|valve|vase|
vegetable|vehicle|village|vinegar|virus|vision|vote|voyage|waiter|wall|warehouse|wave|wax|weapon|
wheel|whistle|widow|wig|wind|wine|wing|wire|witness|wizard|wool|workshop|worm hole|wound|wrist|
yard|yogurt|zebra crossing|zipper""",
    "trait": """angry|curious|delicious|elegant|famous|fluffy|golden|gorgeous|hungry|jealous|liquid|
lonely|magnetic|medieval|musical|mysterious|nuclear|orange|organic|plastic|pregnant|purple|romantic|
round|royal|rusty|seasonal|shiny|spicy|square|striped|sunny|thirsty|tropical|wooden|zigzag|electric|
digital|virtual|olympic|chemical|political|religious|scientific|triangular|dusty|haunted|frozen""",
    "deed": """arrest|bake|balance|bargain|blink|boil|bounce|breathe|brush|celebrate|chew|chop|climb|
compare|consider|cough|crawl|decide|deliver|describe|design|discuss|dissolve|dream|dress|drop|earn|
evaluate|examine|explain|explore|gallop|grill|guess|hammer|hire|imagine|improve|install|invent|
investigate|juggle|kneel|knit|launch|laugh about|measure|mix|negotiate|obey|organize|paint|park|
perform|persuade|plan|plant|polish|pour|predict|prepare|print|protect|publish|race|recommend|rent|
repair|rescue|sail|sharpen|shave|ski|smell|smoke|sneeze|snore|solve|spray|stir|stretch|supply|surf|
survive|sweat|swallow|taste|test drive|tickle|train|travel|type|vote|wander|warn|wash|weigh|yawn""",
    "small": "1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|20",
    "year": "1066|1492|1776|1789|1815|1848|1914|1939|1945|1969|1989|2001|1999|2020|1850|1600|1300",
}

TOPICS = """
[what is|what's|what are|tell me about|explain|describe|define|what does one do with|what do you know about|who needs|why do we have] [a|the|] [{trait}|] {common}
[how|why|when|where|how often|how much|since when] [is|was|does|did|can|will|should] [a|the|my|this|every] {common} [{deed}|{trait}|be {trait}|made|there|so {trait}|work|begin|end|help|matter]
[how old|how big|how heavy|how long|how wide|how far away|how deep|how hot|how expensive|how rare|how dangerous|how {trait}] is [a|the|my|this|that] [{trait}|] {common}
[who|what] [invented|discovered|made|built|owns|sells|needs|likes|found|broke|painted|designed|wrote about] [a|the|my|this] [{trait}|] {common}
[how do i|how can i|how to|how would i|what is the best way to|should i|can you|could you|help me|i want to|teach me to|when should i|please] {deed} [a|the|my|some|this] [{trait}|] {common}
[what should i|where can i|where do i|who can|which {common} should i|why would i] {deed} [for {common}|with a {common}|in the {common}|a {common}|] [today|tomorrow|tonight|]
[write|compose|tell me|give me|make up|invent|draw|create] [a|an|me a|some] [{trait}|short|long|] [poem|story|song|speech|riddle|essay|list|plan|picture|review|slogan] about [a|the|] [{trait}|] {common}
[where|in which {common}|on what {common}] [is|was|lies|stands] the [{trait}|] {common} [of {country}|in {city}|of {person}|]
[what is|what's|find|give me] the [price|weight|age|history|purpose|origin|future|cost|meaning|best kind|owner|value|smell|taste|speed|temperature|height|depth|address|definition|time|phone number|forecast] of [a|the|this|my] [{trait}|] {common}
[which|what] {common} [is|was|has|makes|needs|should i take for] [the best|the most {trait}|more {trait}|a {common}|the {common}]
[the|a|my|our|his|her] {common} [is|was|has been|looks|seems|became|will be] {trait}
[i|we|they|he] [will|want to|had to|like to|can't|never|always] {deed} [the|a|my|] [{trait}|] {common}
[is|are|was] [the|a|my|this|your] {common} [{trait}|more {trait} than a {common}|made of {stuff}|a {common}|in {country}|for sale]
[do|did|can|could|would|will] [you|we|they|people] {deed} [a|the|my|] {common}
{common}
{trait} {common}
{deed} the {common}
{common} [and|or|of the|in the|with a] {common}
who [wrote|painted|composed|directed|made|sang|published|illustrated] {work}
who is the [author|director|main character|composer|hero] of {work}
[summarize|review|quote|explain|tell me about] {work}
[when|in which year|what year] was {work} [written|made|released|published|painted]
who [is|was] {person}
[when|where|in which year] was {person} born
[when|how|where] did {person} [die|live|become famous|meet his wife|go to school]
how [old|tall|rich|famous] [is|was] {person}
what did {person} [invent|discover|write|say|do|eat|think about {topic}]
who is the [president|king|queen|prime minister|leader|ruler|chancellor|emperor|head] of {country}
what is the [population|area|currency|flag|anthem|language|largest city|highest mountain|longest river|gdp|time zone|climate|area code|national dish|religion|king|president|size|history|oldest city|second city|airport|food] of {country}
[how many people live|how many cities are there|what do people eat|what do they speak|how is the weather|which language is spoken|what should i see|what money do they use] in {country}
[how big|how old|how rich|how far away|how hot|how safe] is {country}
[where is|where's|how do i get to|what borders|who discovered|who lives in|who won in|tell me about|describe|which continent is|a map of|a hotel in|flights to] {country}
when did {country} [become independent|win the world cup|join the eu|start the war]
[what is|how is|tell me|what's] the [weather|weather forecast|temperature] [in|for] [{city}|{country}|here|today|tomorrow]
[is it|will it be] [raining|sunny|cold|hot|snowing|windy] [today|tomorrow|outside|in {city}|now]
[what time|what date|what day|what year] is it [|now|today|in {city}|there]
what is [today's date|the time|the date today|the current time|the news|new today]
[write|compose|make|create|give me|generate] [a|an|me a] [poem|story|essay|song|letter|email|joke|haiku|limerick|speech|blog post|tweet|summary|cover letter] [|about {topic}|about a {thing}|about {country}|about a {beast}]
[write|make|create|show me|code|implement] [a|an] [python|javascript|rust|java|c|bash|sql|go|simple] [function|program|script|class|query|loop|test|api|regex] [|for {topic}|that prints {word}|to sort a list|to read a file|that adds numbers]
[how do i|how can i|how to|how does one|how would you] {verb} a {thing}
[how do i|how can i|how to|how does one] [lose weight|sleep better|make money|get a job|learn {language}|learn {topic}|write a resume|tie a tie|boil an egg|grow tomatoes|quit smoking|find a wife|be happy|get rich|study for exams|fly a plane|ride a bicycle|train a dog|stop a war|open a bank account|fix my car|change a tire|draw a {beast}|feed a {beast}|ride a {beast}]
[how do i|how to|recipe for|how long do i] [cook|make|bake|] {dish}
[translate|say|write|how do you say|what is] {word} [in|into|to] {language}
[translate|say|how do you say] [hello|thank you|goodbye|good morning|i love you|{sentence}|{quality}|{beast}] [in|into|to] {language}
[what is|what's|explain|define|describe|tell me about|what are|teach me|what does one mean by|how does|why is] {topic} [|work|important|simply|to a child]
[what is|define|what does|explain] [a|the meaning of|the word] {thing} [|mean|used for|made of]
[what does|what is the meaning of|define|how do you spell|spell|who invented the word|where does the word come from:|rhyme for|synonym of|a synonym for|syllables in|vowels in|the length of the word|the first letter of] {word}
[how does a|why does a|who invented the|when was the|what is inside a|how heavy is a|how much does a|how much is a|where can i buy a|what is the price of a|what is the best] {thing} [|work|cost|invented|weigh]
[who won|when is|who lost|who played in|where is|what is] the [world cup|super bowl|olympics|election|oscar|nobel prize|champions league|world series|grand prix|war] [|in {year}|of {year}|this year|last year]
what happened in {year}
[how far|how long does it take|how much is a flight|which train goes|what is the distance] [is it|] from {city} to {city}
[how high|how tall|how old|how deep|how long] is [mount everest|the eiffel tower|the nile|the amazon|the great wall|big ben|the pacific|the empire state building|the golden gate bridge|the grand canyon|lake victoria]
what is the [tallest|highest|longest|largest|smallest|fastest|oldest|biggest|deepest|most expensive|best|worst] [mountain|river|building|country|city|animal|ocean|lake|car|planet|tree|bridge|tower|movie|book|restaurant|phone] [|in the world|in {country}|in {city}|on earth|ever]
[why is|why are|why do|why does|why did|why can't] [the sky blue|grass green|people sleep|birds fly|the sea salty|cats purr|we dream|time pass|the {beast} sleep|a {beast} have a tail|my {thing} break|{country} exist|{person} die|a {stuff} taste sweet|leaves fall]
[where|when|how|why|how long|what|how often|how fast|how much] [do|does] [a|the] {beast} [live|sleep|eat|run|weigh|swim|drink|hunt|cost|migrate|breed|grow|see|jump]
[what do|where do|how do] {beast}s [eat|live|sleep|see|drink|hunt|look like|like|play]
[what is the|the] [lifespan|weight|size|latin name|diet|habitat|speed|price|father|skin|best name|favorite food|enemy] of [a|the] {beast}
can a {beast} [fly|swim|talk|climb|see in the dark|jump|live in water|be a pet]
how many [teeth|eyes|ears|hearts|bones|wings|stomachs|children|arms|tails|fins] does a {beast} have
[how much|what] [does|do] [a|some] {stuff} [cost|weigh|taste like|smell like|contain|come from]
[is|are] {stuff} [healthy|good for you|a fruit|a vegetable|poisonous|expensive|sweet|vegan|magnetic]
[how many|how much] [calories|vitamins|sugar|protein|fat|water] [are|is] in [a|] {stuff}
[where does|who invented|who eats|where do i buy|how do i store|what is made from|how is|what goes with|how do i cook] {stuff} [|come from|made]
what [shape|size|weight|price|taste|smell|temperature] is [a|the|] {stuff}
[what happened|what should i do|who was born|what is the weather|where were you|what is on tv|are shops open|what do people do|do i work] on {time}
[what does the word|who invented|where does the name|how do you spell|what is the history of|who named|why is it called|when is|how many weeks until] {time} [|come from|mean]
[use {quality} in a sentence|what does {quality} mean|what rhymes with {quality}|a synonym of {quality}|how do you spell {quality}|another word for {quality}|is {quality} a verb|what is {quality}|the definition of {quality}|the comparative of {quality}|the superlative of {quality}]
[what is|calculate|how much is|] {big} [+|-|*|x|/|plus|minus|times|divided by] {big}
[what is|calculate|how much is|] {big} [+|-|*|x|/|plus|minus|times|divided by] {small}
[what is|calculate|how much is|] {small} [*|x|/|plus|minus|times|divided by] {big}
[what is|calculate|find|] the [square root|cube root|logarithm|factorial|square|cube|sine|cosine|derivative|half|double|integral] of [{small}|{big}|x]
[what is|calculate|] {small} [squared|cubed|percent of {big}|to the power of {small}|factorial|mod {small}]
[is|why is] {small} a [prime|prime number|lucky number|big number|perfect square]
[what number comes|what comes] [after|before] {big}
[solve|simplify|factor|differentiate|integrate] [x^2 + {small}x + {small} = 0|{small}x = {big}|x + y = {big}|sin x|the equation]
[what do you think|tell me|what is your opinion|do you know anything] about [{topic}|{person}|{city}|{work}|{sentence}]
[what is your|do you have a] [favorite color|favorite food|favorite movie|birthday|girlfriend|mother|phone number|address|email|hobby|dream|age|religion|opinion|best friend|favorite song]
do you [like|love|want|hate|believe in|dream of|eat|drink|play|watch|read] [{topic}|{dish}|{stuff}|me|music|god|people|books|films|{country}|a {beast}]
[tell me|say|give me|do you know] [a joke|a story|something funny|a secret|a riddle|a fun fact|something interesting|a poem|the future|the truth|a quote|some news|a lie]
[recommend|suggest|find|show me|pick] [a|me a|some] [movie|book|restaurant|song|hotel|game|gift|name for my {beast}|present|podcast|holiday|recipe|laptop|phone|school|job]
[what should|where should|when should|why should] i [eat|wear|do|buy|read|watch|cook|study|live|go|say] [today|tonight|tomorrow|this weekend|in {city}|for dinner|now|]
[play|turn on|turn off|stop|open|close|call|text|email|remind me about|set an alarm for|book|order|buy|cancel|schedule|print|send] [music|the lights|{person}|a meeting|a taxi|{dish}|my {thing}|the radio|the window|a flight to {city}|a table for two|the {thing}]
[summarize|correct|rewrite|proofread|translate|shorten|continue|classify|analyze] [this text|this sentence|my essay|the following|this: {sentence}|the text below|this article|my letter]
{sentence}
[i think|he said|she told me|they say|yesterday|it seems that|imagine|what if|is it true that|why do you think] {sentence}
[am i|are we|is he|is she|are they|was he|will i be] [right|late|rich|happy|pretty|in love|lost|pregnant|fired|home|married|sick]
[what is|what's|where is|who is|when is|how is] [my|your|his|her|our] [name|brother|phone|dog|birthday|password|problem|house|wife|plan|mother|teacher|appointment|flight|bill|score|job]
[who|what|where|when|why|how]
[what|why|who|how] [is it|is that|is this|was that|not|so|though|about it|do you mean]
[quelle est la capitale de la france|wie geht es dir|hola, como estas|que hora es|was ist das|wie heisst du|bonjour madame|come stai|hoe gaat het|donde esta la biblioteca]
[the capital|the opposite|the plural|the color|the sound|the past tense|a baby|the month|the day after|capital of|opposite of|color of|what color|plural|the difference|the sum]
[invest|should i invest|is it wise to invest] in [{topic}|{stuff}|{country}|gold|stocks|oil]
[which|what] [chemical|element|symbol|formula|metal|gas|acid|vitamin] [is|has] [h2o|fe|in {stuff}|au|the lightest|used in a {thing}|salt|number {small}]
what is the [boiling point|melting point|density|chemical symbol|atomic number|speed|mass|temperature] of [{stuff}|light|sound|iron|the sun|water|oxygen|mercury|a {thing}]
how many [stars|people|countries|languages|bones|oceans|cars|books|grains of sand|elements|species|presidents|states|bones in the body|moons|miles|pounds|gallons] [are there|exist|are in {country}|in the world|does jupiter have|in a ton|in the sky]
how many {u} [in|are in|does] [a {thing}|{country}|{topic}|a {beast}|{city}] [|have]
[did|has|was|will|would|can|could|should] [{person}|{country}|my {thing}|the {thing}|the {beast}] [win|come back|be here|work|break|go|know|fall|pay|be big|be late|exist]
[is|was] [{person}|{city}|{topic}|{dish}|{work}] [good|dead|alive|big|easy|real|famous|hard|old|expensive|in {country}]
[compare|what is the difference between|which is better,|choose between] [{topic} and {topic}|{beast} and {beast}|{country} and {country}|{city} and {city}|{stuff} and {stuff}]
"""

# What stands in the place of something known: the kind, and which words nothing is known of.
STRANGERS = {
    "capital": "place city common blend blend odd odd animal object person trait",
    "country_of": "place city common blend odd odd animal person",
    "opposite": "odd blend common common common animal country deed person thing city topic",
    "colour": "object common common odd blend country person topic city",
    "next_day": "word common odd blend country",
    "previous_day": "word common odd blend country",
    "next_month": "word common odd blend country",
    "previous_month": "word common odd blend country",
    "month_days": "odd blend city country common",
    "month_number": "odd blend city common",
    "unit": "odd blend",
    "plural": "odd blend odd",
    "singular": "odd blend odd",
    "past": "odd blend city country",
    "sound": "animal animal odd blend thing common country",
    "young": "animal animal odd blend thing common country city",
    "legs": "odd blend thing common country city",
}
