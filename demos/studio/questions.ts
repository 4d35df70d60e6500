/** Prompts to offer to a model that the page knows nothing of. */

/** For a model that answers in a chat. */
export const QUESTIONS: readonly string[] = [
  'Explain in two sentences why the sky is blue.',
  'Write a short message to thank a colleague for covering a shift.',
  'What should I check before I buy a used bicycle?',
  'Summarize the plot of Romeo and Juliet in three sentences.',
  'Give me three ideas for a quick dinner with eggs and spinach.',
  'How do I politely decline an invitation to a party?',
  'What is the difference between weather and climate?',
  'Write four lines of verse about an early train.',
  'Explain to a child how a rainbow is made.',
  'List the steps to plant tomatoes on a balcony.',
  'My houseplant has yellow leaves. What could be wrong?',
  'Rewrite this so that it sounds friendlier: "Send me the report by noon."',
  'What are good questions to ask at the end of a job interview?',
  'Describe the taste of coffee to someone who has never had it.',
  'Plan a rainy Sunday for a family with two small children.',
  'Why do cats purr?',
  'Give an example of a fair compromise between two roommates.',
  'Explain what a mortgage is, without jargon.',
  'Write a subject line for an e-mail that announces a new opening time.',
  'What makes a good apology?',
];

/** For a model that continues a text. */
export const BEGINNINGS: readonly string[] = [
  'The old lighthouse had been dark for years, until one evening',
  'To make a good cup of tea,',
  'The most surprising thing about octopuses is',
  'Dear neighbor,\n\n',
  'When the train finally stopped, nobody',
  'Three reasons to learn an instrument:\n1.',
  'The market opened at dawn, and the first customer',
  'In the year 2150,',
  'My grandmother always said that',
  'The recipe begins with two ripe tomatoes',
  'Rain had fallen all week, so',
  'The scientist looked at the result again and',
];
