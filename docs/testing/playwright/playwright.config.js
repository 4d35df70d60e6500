import { defineConfig } from 'playwright/test';

export default defineConfig({ testMatch: '*.test.js', reporter: 'list' });
