// What a script adds to the forms at /publish and /item/replace: files are dropped onto the page, show how far they are, and go on by
// themselves after a broken line. Without it the form works as it stands. The bytes travel by tus-js-client.
(() => {
  'use strict';

  const form = document.querySelector('form[data-uploads]');
  if (!form || !window.tus || !window.tus.isSupported) return;

  const input = form.elements.namedItem('file');
  const part = document.getElementById('uploads');
  const list = part.querySelector('ul');
  const row = document.getElementById('upload');
  const said = document.getElementById('uploads-said');
  const title = document.title;

  // Pauses between tries, in milliseconds: about ten minutes. They begin anew whenever some bytes got through.
  const PAUSES = [0, 1000, 2000, 4000, 8000, ...Array(20).fill(30000)];
  const AT_ONCE = 2;
  // Servers in front of the portal limit bodies, or keep the whole of one before they pass it on.
  const PIECE = 32 * 1024 * 1024;
  const ASK_EVERY = 2000;
  const TOLD_EVERY = 1000;

  const transfers = [];
  let asking = null;

  const bytes = (count) => {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let unit = 0;
    while (count >= 999.95 && unit < units.length - 1) {
      count /= 1000;
      unit += 1;
    }
    return `${unit === 0 ? count : count.toFixed(1)} ${units[unit]}`;
  };

  const left = (seconds) => {
    if (seconds < 10) return 'a few seconds left';
    if (seconds < 60) return `about ${Math.ceil(seconds / 10) * 10} seconds left`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return minutes === 1 ? 'about a minute left' : `about ${minutes} minutes left`;
    const hours = Math.round(minutes / 60);
    return hours === 1 ? 'about an hour left' : `about ${hours} hours left`;
  };

  // For screen readers: beginnings, ends and questions, never the numbers in between.
  const say = (sentence) => { said.textContent = sentence; };

  const statusOf = (error) => (error.originalResponse ? error.originalResponse.getStatus() : 0);

  const sentenceOf = (error) => {
    try {
      return JSON.parse(error.originalResponse.getBody()).detail;
    } catch {
      // Whatever stands between here and the portal has no sentence for people.
      const status = statusOf(error);
      if (status === 413) return 'A server in front of the portal takes no pieces of this size (413). Tell the people who run the portal.';
      if (status > 0) return `A server in front of the portal refused it (${status}). Tell the people who run the portal.`;
      return 'The portal cannot be reached. What has arrived is kept for a day.';
    }
  };

  // A wrong offset is told with the right one; without it, 409 is a name that is taken.
  const isTaken = (error) => statusOf(error) === 409 && !error.originalResponse.getHeader('Upload-Offset');

  const mayRetry = (error) => {
    const status = statusOf(error);
    if (status === 409) return !isTaken(error);
    return status === 0 || status === 423 || status === 460 || (status >= 500 && status !== 507);
  };

  class Transfer {
    constructor(file, typed) {
      this.file = file;
      this.typed = typed;
      this.state = 'waiting';
      this.url = null;
      this.node = row.content.firstElementChild.cloneNode(true);
      this.bar = this.node.querySelector('progress');
      this.words = this.node.querySelector('.said');
      this.actions = this.node.querySelector('.actions');
      this.node.querySelector('b').textContent = file.name;
      this.bar.setAttribute('aria-label', file.name);
      list.append(this.node);
      this.show('Waiting for its turn.', [['Cancel', () => this.cancel()]]);
      this.upload = new window.tus.Upload(file, {
        endpoint: '/api/uploads',
        metadata: this.metadata(),
        retryDelays: PAUSES,
        chunkSize: PIECE,
        // The same file for the same place goes on where it was, after the page was closed as well.
        fingerprint: () => Promise.resolve(
          ['portcullis', file.name, file.size, file.lastModified, typed.folder, typed.title, typed.overwrite, typed.etag].join('|'),
        ),
        removeFingerprintOnSuccess: true,
        onShouldRetry: (error) => this.interrupted(error),
        onUploadUrlAvailable: () => { this.url = this.upload.url; },
        onProgress: (sent, total) => this.progress(sent, total),
        onSuccess: (payload) => this.published(payload.lastResponse),
        onError: (error) => this.failed(error),
      });
    }

    metadata() {
      const { folder, title: line, overwrite, etag } = this.typed;
      const metadata = { filename: form.dataset.name || this.file.name, folder, title: line };
      if (overwrite) metadata.overwrite = 'true';
      if (etag) metadata.etag = etag;
      return metadata;
    }

    show(sentence, actions, problem) {
      this.words.textContent = sentence;
      this.node.classList.toggle('stopped', Boolean(problem));
      this.actions.replaceChildren(...actions.map(([label, act]) => {
        const node = document.createElement(typeof act === 'string' ? 'a' : 'button');
        node.className = 'button quiet';
        node.append(label);
        const whose = document.createElement('span');
        whose.className = 'unseen';
        whose.textContent = `: ${this.file.name}`;
        node.append(whose);
        if (typeof act === 'string') {
          node.href = act;
          node.target = '_blank';
        } else {
          node.type = 'button';
          node.addEventListener('click', act);
        }
        return node;
      }));
    }

    async start() {
      this.state = 'running';
      this.window = [];
      this.toldAt = 0;
      this.show('Beginning.', [['Cancel', () => this.cancel()]]);
      if (this.url) {
        // A refusal may have made the client forget it.
        this.upload.url = this.url;
      } else {
        const before = await this.upload.findPreviousUploads();
        if (this.state !== 'running') return;
        if (before.length > 0) this.upload.resumeFromPreviousUpload(before[before.length - 1]);
      }
      this.upload.start();
    }

    progress(sent, total) {
      if (this.state !== 'running') return;
      const now = performance.now();
      if (this.isInterrupted) {
        this.isInterrupted = false;
        this.window = [];
        this.toldAt = 0;
        say(`${this.file.name} goes on.`);
      }
      this.bar.max = total || 1;
      this.bar.value = sent;
      this.window.push([now, sent]);
      while (this.window.length > 2 && now - this.window[0][0] > 5000) this.window.shift();
      if (now - this.toldAt < TOLD_EVERY && sent < total) return;
      this.toldAt = now;
      const [began, before] = this.window[0];
      const speed = now > began ? ((sent - before) * 1000) / (now - began) : 0;
      let sentence = `${bytes(sent)} of ${bytes(total)}`;
      if (sent === total) sentence += ', being put in its place';
      else if (speed > 0) sentence += `, ${bytes(speed)} a second, ${left((total - sent) / speed)}`;
      this.show(`${sentence}.`, [['Cancel', () => this.cancel()]]);
    }

    interrupted(error) {
      if (!mayRetry(error)) return false;
      if (!this.isInterrupted && statusOf(error) !== 423) {
        this.isInterrupted = true;
        say(`The line of ${this.file.name} broke. It goes on by itself.`);
      }
      this.show('The line broke. It goes on by itself as soon as the portal can be reached.', [
        ['Try now', () => this.again()],
        ['Cancel', () => this.cancel()],
      ], true);
      return true;
    }

    failed(error) {
      this.isInterrupted = false;
      const status = statusOf(error);
      if (status === 401) {
        this.state = 'signed out';
        this.show('Your session has ended. Sign in, and it goes on by itself.', [
          ['Sign in in a new tab', '/login?redirect_uri=/publish'],
          ['Cancel', () => this.cancel()],
        ], true);
        say('Your session has ended. Sign in to go on.');
        askWhetherSignedIn();
      } else if (isTaken(error)) {
        this.state = 'asking';
        const sentence = sentenceOf(error);
        this.show(sentence, [
          ['Replace it', () => this.replace()],
          ['Leave it as it is', () => this.cancel()],
        ], true);
        say(sentence);
      } else {
        this.state = 'failed';
        const sentence = sentenceOf(error);
        this.show(sentence, [['Try again', () => this.again()], ['Remove', () => this.cancel()]], true);
        say(`${this.file.name}: ${sentence}`);
      }
      next();
    }

    replace() {
      this.typed = { ...this.typed, overwrite: true };
      this.upload.options.metadata = this.metadata();
      // Where all but the last byte has arrived, that byte says it; a new upload says it when it begins.
      if (this.url) {
        const pairs = Object.entries(this.metadata()).map(([key, value]) => `${key} ${base64(value)}`);
        this.upload.options.headers = { 'Upload-Metadata': pairs.join(',') };
      }
      this.again();
    }

    again() {
      this.upload.abort();
      this.isInterrupted = false;
      this.state = 'waiting';
      this.show('Waiting for its turn.', [['Cancel', () => this.cancel()]]);
      next();
    }

    cancel() {
      this.state = 'cancelled';
      this.upload.url = this.upload.url || this.url;
      this.upload.abort(true).catch(() => {});
      this.node.remove();
      transfers.splice(transfers.indexOf(this), 1);
      part.hidden = transfers.length === 0;
      say(`${this.file.name} is cancelled.`);
      input.focus();
      next();
    }

    published(response) {
      this.state = 'published';
      this.bar.max = 1;
      this.bar.value = 1;
      this.node.classList.add('done');
      this.show('Published.', []);
      const item = response && response.getHeader('Upload-Item');
      if (item) {
        const link = document.createElement('a');
        link.href = item;
        link.textContent = this.file.name;
        this.node.querySelector('b').replaceChildren(link);
      }
      const open = transfers.filter((transfer) => transfer.state !== 'published').length;
      say(open === 0 ? 'Everything is published.' : `${this.file.name} is published.`);
      next();
    }
  }

  const base64 = (text) => {
    let binary = '';
    for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
    return btoa(binary);
  };

  const next = () => {
    const running = transfers.filter((transfer) => transfer.state === 'running').length;
    const waiting = transfers.filter((transfer) => transfer.state === 'waiting');
    waiting.slice(0, Math.max(AT_ONCE - running, 0)).forEach((transfer) => transfer.start());
    const open = transfers.filter((transfer) => transfer.state !== 'published').length;
    document.title = open === 0 ? title : `${open} to go: ${title}`;
  };

  const askWhetherSignedIn = () => {
    if (asking) return;
    asking = setInterval(async () => {
      const me = await fetch('/api/me', { headers: { Accept: 'application/json' } }).catch(() => null);
      if (!me || !me.ok) return;
      clearInterval(asking);
      asking = null;
      transfers.filter((transfer) => transfer.state === 'signed out').forEach((transfer) => transfer.again());
    }, ASK_EVERY);
  };

  const typedIn = (name) => (form.elements.namedItem(name) || { value: '' }).value;

  const isOtherKind = (file) => {
    const [, ending] = file.name.match(/^.+(\.[^.]*)$/) || [null, ''];
    return form.dataset.name && ending.toLowerCase() !== form.dataset.ending.toLowerCase();
  };

  form.addEventListener('submit', (event) => {
    const files = [...input.files];
    // What cannot replace the file that is shown, the portal refuses with a sentence.
    if (files.length === 0 || files.some(isOtherKind)) return;
    event.preventDefault();
    const typed = {
      folder: typedIn('folder'),
      title: typedIn('title'),
      overwrite: form.elements.namedItem('overwrite').checked,
      etag: typedIn('etag'),
    };
    part.hidden = false;
    transfers.push(...files.map((file) => new Transfer(file, typed)));
    input.value = '';
    say(files.length === 1 ? `${files[0].name} is being published.` : `${files.length} files are being published.`);
    next();
    part.scrollIntoView({ block: 'nearest' });
  });

  const hasFiles = (event) => event.dataTransfer && event.dataTransfer.types.includes('Files');
  let inside = 0;
  document.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    inside += 1;
    form.classList.add('over');
  });
  document.addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    inside -= 1;
    if (inside <= 0) form.classList.remove('over');
  });
  document.addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    inside = 0;
    form.classList.remove('over');
    if (!input.multiple && event.dataTransfer.files.length > 1) {
      say('One file replaces this one. Drop it alone.');
      return;
    }
    input.files = event.dataTransfer.files;
    const count = input.files.length;
    say(`${count === 1 ? input.files[0].name : `${count} files`} chosen. Publish to send.`);
    input.focus();
  });

  window.addEventListener('beforeunload', (event) => {
    if (transfers.some((transfer) => transfer.state === 'running' || transfer.state === 'waiting')) event.preventDefault();
  });

  document.querySelectorAll('[data-with-script]').forEach((node) => { node.hidden = false; });
  document.querySelectorAll('[data-without-script]').forEach((node) => { node.hidden = true; });
})();
